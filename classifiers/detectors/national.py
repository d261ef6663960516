"""National identity and tax numbers, each with its checksum from python-stdnum. Never a length alone."""

from __future__ import annotations

from stdnum.us import ssn

from classifiers.detectors.base import GAP
from classifiers.detectors.numbered import Kind, NumberedDetector, S, triggers_of

_GAPS = GAP + "{1,3}"


def is_nino(number: str) -> bool:
    """HMRC's rule: prefixes that were never issued."""
    return number[:2].upper() not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


def is_ssn(number: str) -> bool:
    """SSA's rules; numbers once printed in advertisements are found too: a policy may except them."""
    return bool(ssn.is_valid(number)) or number in ("078051120", "457555462", "219099999")


_SSN = (
    "\\b(?:us-?|u\\.s\\. ?)?ssns?\\b|social.security|\\bssa\\b|soc\\.? sec|s[ée]curit[ée] sociale|segur(?:o|"
    "idad) social|"
    "sicurezza sociale|sozialversicherung|sofi-?nummer|social_security|(?:\\b|_)ssn(?:\\b|_)"
)
_NINE = f"\\d{{3}}{S}\\d{{3}}{S}\\d{{3}}"
_ELEVEN = "\\b\\d{11}\\b"

_AMERICAS: tuple[Kind, ...] = (
    Kind("US_SSN", "US", f"\\d{{3}}{_GAPS}\\d{{2}}{_GAPS}\\d{{4}}|\\d{{9}}", is_ssn, "bare", _SSN),
    Kind(
        "US_ITIN",
        "US",
        f"9\\d{{2}}{_GAPS}[5-9]\\d{_GAPS}\\d{{4}}|9\\d{{2}}[5-9]\\d{{5}}",
        "us.itin",
        "bare",
        "\\bitin\\b|taxpayer|tax id",
    ),
    Kind("CA_SIN", "CA", _NINE, "ca.sin", "always", "\\bsin\\b|social insurance|\\bnas\\b|assurance sociale"),
    Kind("BR_CPF", "BR", "\\d{3}[.]?\\d{3}[.]?\\d{3}-?\\d{2}", "br.cpf", "bare", "\\bcpf\\b|cadastro de pessoa"),
    Kind("MX_CURP", "MX", "(?i)[a-z]{4}\\d{6}[hmx][a-z]{5}[0-9a-z]\\d", "mx.curp", "never"),
    Kind(
        "MX_RFC",
        "MX",
        f"(?i)[a-zñ&]{{4}}{S}\\d{{6}}{S}[a-z0-9]{{2}}[0-9a]",
        "mx.rfc",
        "always",
        "\\brfc\\b|contribuyente",
    ),
    Kind("AR_DNI", "AR", "\\d{1,2}\\.?\\d{3}\\.?\\d{3}", "ar.dni", "always", "\\bdni\\b|documento nacional"),
    Kind("CL_RUT", "CL", "(?i)\\d{1,2}\\.?\\d{3}\\.?\\d{3}-[0-9k]", "cl.rut", "always", "\\brut\\b|rol [úu]nico"),
    Kind("EC_CI", "EC", "\\d{9}-?\\d", "ec.ci", "always", "c[ée]dula|\\bci\\b"),
    Kind("DO_CEDULA", "DO", "\\d{3}-?\\d{7}-?\\d", "do.cedula", "always", "c[ée]dula"),
    Kind("PE_DNI", "PE", "\\d{8}-?[0-9a-k]", "pe.cui", "always", "\\bdni\\b|\\bcui\\b"),
)
_EUROPE: tuple[Kind, ...] = (
    Kind(
        "UK_NINO",
        "GB",
        f"(?i)[a-ceghj-prstw-z][a-ceghj-nprstw-z]{S}\\d{{2}}{S}\\d{{2}}{S}\\d{{2}}{S}[a-d]",
        is_nino,
        "never",
        trigger="(?i)\\b[a-z][a-z][ .-]?\\d\\d[ .-]?\\d\\d[ .-]?\\d\\d[ .-]?[a-d]\\b",
    ),
    Kind("UK_UTR", "GB", f"\\d{{5}}{S}\\d{{5}}", "gb.utr", "always", "\\butr\\b|unique taxpayer|self.assessment"),
    Kind("ES_NIF", "ES", f"(?i)\\d{{1,2}}[.]?\\d{{3}}[.]?\\d{{3}}{S}[a-hj-np-tv-z]", "es.dni", "never"),
    Kind("ES_NIE", "ES", f"(?i)[xyz]{S}\\d{{7}}{S}[a-hj-np-tv-z]", "es.nie", "never"),
    Kind(
        "IT_FISCAL_CODE",
        "IT",
        f"(?i)[a-z]{{3}}{S}[a-z]{{3}}{S}[0-9l-v]{{2}}[a-ehlmprst][0-9l-v]{{2}}{S}[a-z][0-9l-v]{{3}}[a-z]",
        "it.codicefiscale",
        "never",
        trigger="(?i)[a-z]{3}[ .\\-/]?(?:\\d[0-9l-v]|[l-v]\\d)[a-ehlmprst][0-9l-v]{2}[ .\\-/]?[a-z]",
    ),
    Kind(
        "FR_NIR",
        "FR",
        f"[1278]{S}\\d{{2}}{S}\\d{{2}}{S}\\d[0-9abAB]{S}\\d{{3}}{S}\\d{{3}}{S}\\d{{2}}",
        "fr.nir",
        "never",
    ),
    Kind(
        "DE_TAX_ID",
        "DE",
        f"\\d{{2}}{S}\\d{{3}}{S}\\d{{3}}{S}\\d{{3}}",
        "de.idnr",
        "always",
        "steuer|\\bid-?nr|identifikationsnummer|tax id|\\btin\\b",
    ),
    Kind(
        "NL_BSN",
        "NL",
        f"\\d{{4}}{S}\\d{{2}}{S}\\d{{3}}|{_NINE}",
        "nl.bsn",
        "always",
        "\\bbsn\\b|burgerservice|sofi-?nummer|persoonsnummer",
    ),
    Kind("CH_AHV", "CH", f"756{S}\\d{{4}}{S}\\d{{4}}{S}\\d{{2}}", "ch.ssn", "never"),
    Kind(
        "AT_VNR", "AT", f"\\d{{4}}{S}\\d{{6}}", "at.vnr", "always", "\\bsv-?nr|sozialversicherung|versicherungsnummer"
    ),
    Kind(
        "BE_NN",
        "BE",
        f"\\d{{2}}{S}\\d{{2}}{S}\\d{{2}}{S}\\d{{3}}{S}\\d{{2}}",
        "be.nn",
        "always",
        "rijksregister|registre national|\\bniss\\b|\\binsz\\b|national number",
    ),
    Kind("PT_NIF", "PT", _NINE, "pt.nif", "always", "\\bnif\\b|contribuinte"),
    Kind("PT_CC", "PT", f"(?i)\\d{{8}}{S}\\d{S}[a-z0-9]{{2}}\\d", "pt.cc", "always", "cidad[ãa]o"),
    Kind("IE_PPS", "IE", "(?i)\\d{7}[a-w][a-iw]?", "ie.pps", "always", "\\bpps"),
    Kind("PL_PESEL", "PL", _ELEVEN, "pl.pesel", "always", "pesel"),
    Kind(
        "CZ_SK_BIRTH_NUMBER", "CZ", "\\d{6}/?\\d{3,4}", "cz.rc", "always", "rodn[ée] [čc][íi]slo|\\brč\\b|birth number"
    ),
    Kind("RO_CNP", "RO", "[1-8]\\d{12}", "ro.cnp", "always", "\\bcnp\\b|cod numeric"),
    Kind("BG_EGN", "BG", "\\d{10}", "bg.egn", "always", "\\begn\\b|егн|единен граждански"),
    Kind("HR_OIB", "HR", _ELEVEN, "hr.oib", "always", "\\boib\\b|osobni identifikacijski"),
    Kind("SI_EMSO", "SI", "\\d{13}", "si.emso", "always", "emšo|\\bemso\\b"),
    Kind("GR_AMKA", "GR", _ELEVEN, "gr.amka", "always", "\\bamka\\b|αμκα"),
    Kind("EE_IK", "EE", "[1-6]\\d{10}", "ee.ik", "always", "isikukood"),
    Kind("LT_ASMENS", "LT", "[1-6]\\d{10}", "lt.asmens", "always", "asmens kod"),
    Kind(
        "SE_PERSONNUMMER",
        "SE",
        "(?:19|20)?\\d{6}[-+]?\\d{4}",
        "se.personnummer",
        "always",
        "person-?(?:nummer|nr)|personal identity",
    ),
    Kind("DK_CPR", "DK", "\\d{6}[- ]?\\d{4}", "dk.cpr", "always", "\\bcpr\\b|personnummer"),
    Kind(
        "NO_FODSELSNUMMER",
        "NO",
        "\\d{6} ?\\d{5}",
        "no.fodselsnummer",
        "always",
        "f(?:ø|o|oe|ö)dselsnummer|personnummer|birth number",
    ),
    Kind("FI_PERSONAL_IDENTITY_CODE", "FI", "(?i)\\d{6}[-+a]\\d{3}[0-9a-fhj-np-y]", "fi.hetu", "never"),
    Kind("IS_KENNITALA", "IS", "\\d{6}-?\\d{4}", "is_.kennitala", "always", "kennitala"),
    Kind("UA_RNTRC", "UA", "\\d{10}", "ua.rntrc", "always", "рнокпп|\\bіпн\\b|ідентифікаційн"),
    Kind("TR_NATIONAL_ID", "TR", "[1-9]\\d{10}", "tr.tckimlik", "always", "kimlik|\\btckn\\b"),
)
_ELSEWHERE: tuple[Kind, ...] = (
    Kind("IN_AADHAAR", "IN", f"[2-9]\\d{{3}}{S}\\d{{4}}{S}\\d{{4}}", "in_.aadhaar", "bare", "aadhaa?r|uidai|\\buid\\b"),
    Kind(
        "IN_PAN", "IN", "(?i)[a-z]{3}[abcfghljpt][a-z]\\d{4}[a-z]", "in_.pan", "always", "\\bpan\\b|permanent account"
    ),
    Kind("IN_VOTER", "IN", "(?i)[a-z]{3}\\d{7}", "in_.epic", "always", "\\bepic\\b|voter id|electors? photo"),
    Kind("AU_TFN", "AU", f"\\d{{3}}{S}\\d{{3}}{S}\\d{{2,3}}", "au.tfn", "always", "\\btfn\\b|tax file"),
    Kind("NZ_IRD", "NZ", f"\\d{{2,3}}{S}\\d{{3}}{S}\\d{{3}}", "nz.ird", "always", "\\bird\\b|inland revenue"),
    Kind("KR_RRN", "KR", "\\d{6}-[1-49]\\d{6}", "kr.rrn", "never"),
    Kind("CN_RIC", "CN", "[1-9]\\d{16}[0-9Xx]", "cn.ric", "never"),
    Kind(
        "JP_MY_NUMBER", "JP", f"\\d{{4}}{S}\\d{{4}}{S}\\d{{4}}", "jp.in_", "always", "my number|マイナンバー|個人番号"
    ),
    Kind("MY_NRIC", "MY", "\\d{6}-?\\d{2}-?\\d{4}", "my.nric", "always", "\\bnric\\b|mykad|kad pengenalan"),
    Kind("SG_NRIC_FIN", "SG", "(?i)[stfgm]\\d{7}[a-z]", lambda number: True, "always", "\\bnric\\b|\\bfin\\b"),
    Kind("ID_NIK", "ID", "\\d{16}", "id.nik", "always", "\\bnik\\b|induk kependudukan|\\bktp\\b"),
    Kind("TH_PIN", "TH", "\\d-?\\d{4}-?\\d{5}-?\\d{2}-?\\d", "th.pin", "always", "thai id|บัตรประชาชน|national id"),
    Kind("PK_CNIC", "PK", "\\d{5}-\\d{7}-\\d|\\d{13}", "pk.cnic", "always", "\\bcnic\\b|\\bnic\\b|nadra"),
    Kind("IL_ID", "IL", "\\d{7,8}-?\\d", "il.idnr", "always", "teudat zehut|תעודת זהות|ת\\.ז|israeli id"),
    Kind("ZA_ID_NUMBER", "ZA", "\\d{6} ?\\d{4} ?\\d{3}", "za.idnr", "always", "\\bid\\b|identity"),
    Kind("KE_PIN", "KE", "(?i)[ap]\\d{9}[a-z]", "ke.pin", "always", "\\bkra\\b|\\bpin\\b"),
)
KINDS = _AMERICAS + _EUROPE + _ELSEWHERE


class NationalIdDetector(NumberedDetector):
    """The kinds of the table: of the countries that the policy lists, or all of them. US_SSN is always looked for."""

    name = "national_id"
    entities = frozenset(kind.entity for kind in KINDS)
    triggers = triggers_of(KINDS)

    def __init__(self) -> None:
        super().__init__(KINDS)
