// What went wrong, as the data that a failure is.
"use strict";

const TEXT_LIMIT = 10 * 1024; // of message and traceback, in UTF-16 units: a failure takes 64 KiB at most

class Failed extends Error {
    constructor(kind, message, more = {}) {
        super(message);
        this.failure = {
            kind: `FAILURE_KIND_${kind}`,
            message: cut(message, TEXT_LIMIT),
            ...more,
        };
    }
}

function cut(text, limit) {
    return text.length <= limit
        ? text
        : `${text.slice(0, limit / 2)}\n[…]\n${text.slice(-limit / 2)}`.toWellFormed();
}

function failureOf(error, cancelled) {
    if (error instanceof Failed) return error.failure;
    const { name = "Error", message = String(error), stack = "" } = error ?? {};
    const kind = `FAILURE_KIND_${cancelled ? "CANCELLED" : "EXCEPTION"}`;
    return {
        kind,
        type_name: cut(String(name), 1024),
        message: cut(String(message), TEXT_LIMIT),
        traceback: cut(String(stack), TEXT_LIMIT),
    };
}

module.exports = { Failed, failureOf };
