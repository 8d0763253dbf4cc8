// The worker's end of the line (docs/protocol.md), with frames alone: no control socket, no page.
//
// serve(make) runs what `make(worker)` returns: an object of tools by name. A tool gets the keyword
// arguments as one object, and its call: {id, session, isNew, state, left(), signal}. A generator
// function is a stream. Calls run one at a time, in their order, unless the pool wants several at once;
// frames are read meanwhile.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { setImmediate: turn } = require("node:timers/promises");
const grpc = require("@grpc/grpc-js");
const { loadSync } = require("@grpc/proto-loader");
const { Failed, failureOf } = require("./failure");
const stream = require("./stream");
const values = require("./values");

const PROTO = path.join(__dirname, "../../proto");
const LONGEST_START = 1 + 128 * 1024;
const LAST_WORDS_MS = 5000;

function loadProtocol() {
    // 64-bit numbers as texts: a call's id may be beyond 2^53.
    const options = {
        keepCase: true,
        longs: String,
        enums: String,
        defaults: true,
        oneofs: true,
        includeDirs: [PROTO],
    };
    const types = loadSync("snakepit/v1/worker.proto", options);
    return { types, Host: grpc.loadPackageDefinition(types).snakepit.v1.Host };
}

function readStart(types) {
    // One message of the control socket, which is descriptor 0: one read.
    const buffer = Buffer.alloc(LONGEST_START);
    const length = fs.readSync(0, buffer);
    if (buffer[0] !== 0x53 /* S */)
        throw new Error("descriptor 0 gives no start message: let a host start this program");
    return types["snakepit.v1.Start"].deserialize(buffer.subarray(1, length));
}

function serve(make) {
    const { types, Host } = loadProtocol();
    const start = readStart(types);
    const limit = Number(start.max_message);
    const host = new Host(`unix:${start.socket_path}`, grpc.credentials.createInsecure(), {
        "grpc.default_authority": "localhost",
        "grpc.max_receive_message_length": -1,
        "grpc.max_send_message_length": -1,
        "grpc.enable_retries": 0,
        "grpc-node.flow_control_window": 8 << 20,
    });
    const line = host.Attach();
    const calls = new Map(); // queued and running, by id
    const states = new Map(); // what is kept for each session, by its generation
    const jobs = new Set(); // calls and ends of sessions that are not done with
    let several = false; // calls may run at once
    let last = Promise.resolve();
    let code = 70; // unless it ends in good order
    let tools = {};

    line.on("error", () => process.exit(code));
    line.on("end", () => process.exit(code));
    line.write({
        hello: {
            token: start.token,
            protocol: 1,
            pid: process.pid,
            bridge_version: `node ${process.version}`,
        },
    });

    line.on("data", ({ frame, ...said }) => {
        if (frame === "initialize") initialize(said.initialize);
        else if (frame === "start_call") enqueue(said.start_call);
        else if (frame === "cancel_call") calls.get(said.cancel_call.call_id)?.cancel.abort();
        else if (frame === "grant_chunks") granted(said.grant_chunks);
        else if (frame === "end_session")
            schedule(() => states.delete(said.end_session.session_generation));
        else if (frame === "drain") Promise.all(jobs).then(() => leave(0));
    });

    // A job is begun behind the last one, or at once, but never before one that came earlier.
    function schedule(job) {
        const done = (several ? Promise.resolve() : last).then(job);
        last = done;
        jobs.add(done);
        done.then(() => jobs.delete(done));
    }

    function leave(exitCode) {
        code = exitCode; // the host ends the line when it has read all of ours
        line.end();
        setTimeout(() => process.exit(code), LAST_WORDS_MS).unref();
    }

    async function initialize({ arguments: encoded, pool, slot, generation, device, capacity }) {
        several = capacity > 1;
        try {
            const worker = { pool, slot, generation: Number(generation), device: device || null };
            tools = await make({ ...worker, arguments: values.keywords(encoded) });
            line.write({
                ready: {
                    tools: Object.entries(tools).map(([name, tool]) => ({
                        name,
                        description: tool.description ?? "",
                        streaming: streams(tool),
                    })),
                },
            });
        } catch (error) {
            line.write({ start_failed: { failure: failureOf(error), permanent: false } });
            leave(1);
        }
    }

    function enqueue(start) {
        const call = {
            start,
            cancel: new AbortController(),
            arrived: performance.now(),
            taken: { items: 0, bytes: 0 },
            wake() {},
        };
        call.cancel.signal.addEventListener("abort", () => call.wake());
        calls.set(start.call_id, call);
        schedule(() => run(call));
    }

    function granted({ call_id, items, bytes }) {
        const call = calls.get(call_id);
        if (!call) return;
        call.taken.items = Math.max(call.taken.items, Number(items));
        call.taken.bytes = Math.max(call.taken.bytes, Number(bytes));
        call.wake();
    }

    async function run(call) {
        const { call_id } = call.start;
        let outcome;
        try {
            outcome = await answer(call);
        } catch (error) {
            outcome = { failure: failureOf(error, call.cancel.signal.aborted) };
        }
        calls.delete(call_id);
        line.write({ result: { call_id, ...outcome } });
        await turn(); // what is written leaves before the next call may keep this thread
    }

    async function answer(call) {
        const {
            tool: name,
            arguments: encoded,
            session_id,
            session_new,
            session_generation,
            streaming,
            time_left_us,
        } = call.start;
        if (call.cancel.signal.aborted)
            throw new Failed("CANCELLED", "cancelled before it started");
        if (!Object.hasOwn(tools, name)) throw new Failed("TOOL_NOT_FOUND", `no tool '${name}'`);
        const tool = tools[name];
        if (streams(tool) !== streaming)
            throw new Failed(
                "EXCEPTION",
                `tool '${name}' ${streaming ? "does not stream" : "streams"}`,
                { type_name: "TypeError" },
            );
        const keywords = keywordsOf(encoded);
        // The host may have taken the call back that was to be the first one.
        const known = states.has(session_generation);
        if (session_generation !== "0" && !known) states.set(session_generation, {});
        const ends = call.arrived + Number(time_left_us) / 1000;
        const left = () =>
            time_left_us === "0" ? null : Math.max(0, ends - performance.now()) / 1000;
        const context = {
            id: call.start.call_id,
            session: session_id || null,
            isNew: session_generation === "0" ? session_new : !known,
            state: states.get(session_generation) ?? null,
            left,
            signal: call.cancel.signal,
        };
        if (!streaming) return { value: encode("result", await tool(keywords, context)) };
        const send = (chunk) =>
            line.write({ chunks: { call_id: call.start.call_id, items: chunk } });
        await stream(call, tool(keywords, context), (item) => encode("chunk", item), send);
        return { end: {} };
    }

    function keywordsOf(encoded) {
        try {
            return values.keywords(encoded);
        } catch (error) {
            throw new Failed("DECODE", `args: ${error.message}`);
        }
    }

    function encode(what, value) {
        let encoded;
        try {
            encoded = values.encode(value);
        } catch (error) {
            throw new Failed("ENCODE", `${what}: ${error.message}`, {
                type_name: typeof value,
                path: what,
            });
        }
        const size = encoded.length;
        if (size > limit)
            throw new Failed("TOO_LARGE", `${what} takes ${size} bytes, ${limit} are allowed`, {
                size,
                limit,
            });
        return encoded;
    }
}

const streams = (tool) => /^(Async)?GeneratorFunction$/.test(tool.constructor.name);

module.exports = { serve, Failed };
