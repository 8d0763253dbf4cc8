// Tools: those that the conformance kit calls (docs/protocol.md#conformance-tools), and a few more.
"use strict";

const fs = require("node:fs");
const { once } = require("node:events");

async function untilCancelled(signal) {
    if (!signal.aborted) await once(signal, "abort");
    throw signal.reason;
}

const conformance = (worker) => ({
    echo: ({ value }) => value,

    fail({ message }) {
        throw new RangeError(message);
    },

    large: ({ size }) => Buffer.alloc(size),

    async *count({ upto, size = 0, then = "end" }, { signal }) {
        for (let number = 0; number < upto; number++) yield size ? Buffer.alloc(size) : number;
        if (then === "fail") throw new Error("count failed");
        if (then === "wait") await untilCancelled(signal);
    },

    async wait({ started }, { signal }) {
        fs.writeFileSync(started, "");
        await untilCancelled(signal);
    },

    about({}, { session, isNew, left }) {
        const { pool, slot, generation } = worker;
        return { session, new: isNew, left: left(), pool, slot, generation };
    },

    unencodable: () => ({ deep: [() => {}] }),
});

const own = () => {
    const produced = { primes: 0 };
    return {
        slugify: ({ text }) =>
            text
                .normalize("NFKD")
                .replace(/\p{M}/gu, "")
                .toLowerCase()
                .replace(/[^\p{L}\p{N}]+/gu, "-")
                .replace(/^-|-$/g, ""),

        // A stream without an end: a slow reader stops it.
        *primes({ from = 2 }) {
            for (let candidate = from; ; candidate++) {
                let divisor = 2;
                while (divisor * divisor <= candidate && candidate % divisor) divisor++;
                if (candidate < 2 || divisor * divisor <= candidate) continue;
                produced.primes++;
                yield candidate;
            }
        },

        produced: () => ({ ...produced }),

        // A session's calls come to one worker, which keeps its state until it is over.
        add({ number }, { state }) {
            state.sum = (state.sum ?? 0) + number;
            return state.sum;
        },

        pid: () => process.pid,

        // Deaf to its deadline and to cancels, as a tool must not be: the host ends its worker.
        spin() {
            for (;;);
        },
    };
};

module.exports = function make(worker) {
    if (worker.arguments.fail) throw new Error(worker.arguments.fail);
    const tools = { ...conformance(worker), ...own() };
    tools.slugify.description = "a text as the last part of an address";
    tools.primes.description = "streams the prime numbers from a number on";
    return tools;
};
