"""The signal `background`: whether a chat program asks by itself, for a title, tags or follow-ups, and nobody waits.

It reads the instructions that such programs send, as their public sources word them, in English and in the languages
to which they are translated. What it misses or takes wrongly
changes whose turn it is, and never what may leave.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from classifiers.bodies import message_texts
from classifiers.types import Signal

_EDGE: Final = 700  # characters of the beginning and of the end of a text: instructions stand before or after the talk
_ASKING: Final = frozenset({"system", "developer", "user"})
_FROM_VERB: Final = 100  # characters from a verb to what it asks for, …
_TO_TALK: Final = 250  # … and from there to the talk that it is of

# English as Open WebUI, LibreChat and others ship it, and the languages to which such programs are translated.
_VERB: Final = re.compile(
    r"\b(?:generate|provide|create|write|suggest|give|extract|summari[sz]e|return|reply with|condense"
    r"|erstelle|generiere|formuliere|schlage|gib|fasse"
    r"|gén[eé]re[rz]?|crée[rz]?|propose[rz]?|résume[rz]?|donne[rz]?"
    r"|genera|crea|sugiere|resume|proporciona|suggerisci|riassumi|fornisci"
    r"|gere|gerar|crie|sugira|resuma|forneça|genereer|maak|vat"
    r"|сгенерируй(?:те)?|создай(?:те)?|придумай(?:те)?|предложи(?:те)?|составь(?:те)?)\b"
    r"|生成|总结|總結|概括|提取|返回|建议|建議|作成|要約|提案|생성|작성|요약|제안",
    re.IGNORECASE,
)
_WHAT: Final = re.compile(
    r"\b(?:title|tags?|follow[- ]?up (?:questions?|prompts?)|search quer(?:y|ies)"
    r"|titel|schlagw[oö]rter|anschlussfragen|folgefragen|suchanfragen?"
    r"|titre|étiquettes|questions de suivi|requêtes? de recherche"
    r"|t[ií]tulo|etiquetas|preguntas de seguimiento|consultas? de búsqueda|perguntas de acompanhamento"
    r"|titolo|etichette|domande di approfondimento|vervolgvragen|zoekopdracht"
    r"|заголовок|название|теги|уточняющие вопросы|поисковый запрос)\b"
    r"|标题|標題|主题|主題|标签|標籤|追问|后续问题|後續問題|搜索查询"
    r"|タイトル|タグ|フォローアップ|検索クエリ|제목|태그|후속 질문|검색어",
    re.IGNORECASE,
)
_TALK: Final = re.compile(
    r"\b(?:conversation|for (?:the|this) chat|chat[ _]history|dialogue|session|messages? history"
    r"|unterhaltung|gesprächs?|chatverlaufs?|konversation|historique|discussion"
    r"|conversaci[oó]n|historial|conversazione|cronologia|conversa|histórico|gesprek|chatgeschiedenis"
    r"|беседы|беседу|разговора?|диалога?|переписки|чата)\b"
    r"|对话|對話|会话|會話|聊天|会話|チャット|対話|대화|채팅",
    re.IGNORECASE,
)
_OPENINGS: Final = re.compile(
    r"(?:#{1,4} Task:\s*You are an autocompletion system|you are an? (?:AI )?(?:conversation |chat |thread )?titles? "
    r"(?:generator|assistant)|you(?: wi|')ll generate a short title based on the first message)\b",
    re.IGNORECASE,
)
_VERB_LAST: Final = "\u2e80"  # from here on: scripts of languages that put the verb behind what it asks for


class BackgroundSignal:
    """Looks at the last user text and at what the system says."""

    name = "background"

    def measure(self, body: Mapping[str, Any]) -> Signal:
        """True or False, never an error: a body without texts is asked by a program, but nobody knows for what."""
        texts = message_texts(body, _ASKING)
        looked_at = (texts[0], texts[-1]) if len(texts) > 1 else texts
        return Signal(self.name, any(is_background(text) for text in looked_at))


def is_background(text: str) -> bool:
    """Whether a text asks for something about a talk that the program shows. Reads both ends of it, in linear time."""
    edges = (text,) if len(text) <= 2 * _EDGE else (text[:_EDGE], text[-_EDGE:])
    return _OPENINGS.match(text.lstrip()[:_EDGE]) is not None or any(_asks_of_a_talk(edge) for edge in edges)


def _asks_of_a_talk(edge: str) -> bool:
    whats = [found.start() for found in _WHAT.finditer(edge)]
    if not whats:  # nearly always
        return False
    verbs, talks = ([found.start() for found in form.finditer(edge)] for form in (_VERB, _TALK))
    return any(
        any(_asks_for(edge, verb, what) for verb in verbs) and any(abs(talk - what) <= _TO_TALK for talk in talks)
        for what in whats
    )


def _asks_for(edge: str, verb: int, what: int) -> bool:
    distance = what - verb if edge[verb] < _VERB_LAST else abs(what - verb)
    return 0 < distance <= _FROM_VERB
