"""What the translator may write of itself: for each provider, its words on the wire and how its streams end.

A string on the wire that is neither here nor in the request stops the request. Data, no logic.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider of litellm that is proven (by a test) to speak only through the transport it is given."""

    base_url: str
    end_of_stream: bytes  # what every whole stream holds near its end; one that lacks it was cut
    words: frozenset[str]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMMON = _words(
    """type object properties required additionalProperties description schema name
    model messages role user assistant system tool content text id function stream temperature"""
)
_ANTHROPIC = _COMMON | _words(
    """max_tokens stop_sequences top_p tools input_schema custom input tool_use tool_result tool_use_id tool_choice auto
    any none disable_parallel_tool_use image source base64 media_type data output_format json_schema json_tool_call"""
)
_GEMINI = _COMMON | _words(
    """contents parts function_call function_response args response tools function_declarations parameters
    generationConfig stop_sequences max_output_tokens seed top_p candidate_count response_mime_type application/json
    text/plain response_schema responseSchema response_json_schema responseJsonSchema responseMimeType
    system_instruction toolConfig tool_config functionCallingConfig function_calling_config mode AUTO ANY NONE
    allowed_function_names allowedFunctionNames inline_data mime_type data presence_penalty frequency_penalty
    response_logprobs responseLogprobs logprobs items enum propertyOrdering"""
)
_MISTRAL = _COMMON | _words(
    """max_tokens top_p stop random_seed tools tool_calls tool_call_id tool_choice auto any none parameters arguments
    response_format json_object json_schema strict parallel_tool_calls image_url url stream_options include_usage"""
)

PROVIDERS = {
    "anthropic": Provider("https://api.anthropic.com", b"\nevent: message_delta", _ANTHROPIC),
    "gemini": Provider("https://generativelanguage.googleapis.com/v1beta", b'"finishReason":', _GEMINI),
    "mistral": Provider("https://api.mistral.ai/v1", b"\ndata: [DONE]", _MISTRAL),
}

HEADERS = _words(
    """host content-type content-length accept connection user-agent authorization x-api-key x-goog-api-key
    anthropic-version anthropic-beta"""
)
