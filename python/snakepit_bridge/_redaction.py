"""Takes out of a text what looks like a secret.

A mitigation and no border: it knows the usual shapes, not yours. A text that may hold secrets is
best not sent at all.
"""

from __future__ import annotations

import re

HIDDEN = "<REDACTED>"

_RULES = [
    # Authorization: Bearer …, 'Authorization': 'Basic …'
    (
        re.compile(
            r"(\b(?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:\w+\s+)?)[^\s'\",})\]]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(\bbearer\s+)[\w\-.~+/]+=*", re.IGNORECASE), rf"\1{HIDDEN}"),
    # Keys that say what they are: OpenAI, Stripe, GitHub, AWS, Slack, Google; JSON Web Tokens.
    (re.compile(r"\b((?:sk|pk|rk)[-_])[A-Za-z0-9_\-]{10,}"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(gh[a-z]_|github_pat_)\w{16,}"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(A[KS]IA)[0-9A-Z]{16}\b"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(xox[a-z]-)[\w\-]{10,}"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(AIza)[\w\-]{30,}"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(eyJ)[\w\-]{8,}\.[\w\-]+\.[\w\-]*"), rf"\1{HIDDEN}"),
    # postgres://user:password@host
    (re.compile(r"(://[^\s/:@'\"]+:)[^\s/@'\"]+(?=@)"), rf"\1{HIDDEN}"),
    # password='…', "api_key": "…", token=…; a quote that is not closed was cut
    (
        re.compile(
            r"((?:api[_-]?key|access[_-]?key|private[_-]?key|token|secret|passwd|password|pwd|credentials?)"
            r"\w*[\"']?\s*[:=]\s*(?:b?([\"'])))(?:(?!\2)[^\\]|\\.)*",
            re.IGNORECASE | re.DOTALL,
        ),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(
            r"(\b\w*(?:api[_-]?key|access[_-]?key|private[_-]?key|token|secret|passwd|password|pwd)"
            r"\w*\s*=\s*)(?![\"'<]|b[\"']|\d+\b|None\b|True\b|False\b)[^\s,;&)}\]]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
]


def redact(text: str) -> str:
    """``text``, with ``<REDACTED>`` in place of keys, tokens and passwords."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
