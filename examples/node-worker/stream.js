// The items of one stream: encoded, gathered into chunks, and never more unread than the call's window.
"use strict";

const { setImmediate: turn } = require("node:timers/promises");
const { Failed } = require("./failure");

// A frame is sent with so many items, or before an item would take it above so many bytes. What each
// item takes beside its value fits into the rest of the 64 KiB that a frame may have over max_message.
const CHUNK_ITEMS = 256;
const CHUNK_BYTES = 60 * 1024;
const TURN_MS = 1; // a generator that never waits gives way to frames this often

// How much of a stream is under way, and whether more may be.
class Window {
    constructor(call) {
        this.call = call;
        this.items = call.start.window_items;
        this.bytes = Number(call.start.window_bytes);
        this.sent = { items: 0, bytes: 0 };
    }

    send(bytes) {
        this.sent.items += 1;
        this.sent.bytes += bytes;
    }

    hasRoom(bytes) {
        const items = this.sent.items - this.call.taken.items;
        const underWay = this.sent.bytes - this.call.taken.bytes;
        // One item may always be under way: else a large one could never be sent.
        return items <= 0 || (items < this.items && underWay + bytes <= this.bytes);
    }
}

module.exports = async function stream(call, items, encode, send) {
    const window = new Window(call);
    let chunk = [];
    let bytes = 0;
    let turned = performance.now();

    function flush() {
        if (chunk.length) send(chunk);
        chunk = [];
        bytes = 0;
    }

    async function room(size) {
        while (!window.hasRoom(size) && !call.cancel.signal.aborted) {
            flush();
            await new Promise((wake) => (call.wake = wake)); // by a grant or a cancel
        }
        if (call.cancel.signal.aborted)
            throw new Failed("CANCELLED", "cancelled while it streamed");
    }

    try {
        await room(0);
        for await (const item of items) {
            const encoded = encode(item);
            await room(encoded.length);
            if (bytes + encoded.length > CHUNK_BYTES) flush();
            if (!chunk.length) setImmediate(flush); // no item waits for the next one
            chunk.push(encoded);
            bytes += encoded.length;
            window.send(encoded.length);
            if (chunk.length === CHUNK_ITEMS) flush();
            if (performance.now() - turned > TURN_MS) {
                await turn();
                turned = performance.now();
            }
            await room(0); // the generator runs on only while there is
        }
    } finally {
        flush();
    }
};
