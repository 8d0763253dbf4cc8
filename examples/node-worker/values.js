// Values as they travel (docs/values.md). Integers beyond 2^53 are BigInt; a map is an object where
// an object keeps its keys and their order, else a Map; what JavaScript has no type for (dates with
// their zone, decimals, arrays …) is an Ext, which goes back as it came.
"use strict";

const DEPTH = 128;
const WIDE_INT = 1;
const texts = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

class Ext {
    constructor(type, body) {
        this.type = type;
        this.body = body;
    }
}

const isObject = (value) =>
    Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null;

// Integer-like keys come first in an object, whatever their order was.
const fitsObject = (key) => typeof key === "string" && key !== "__proto__" && !/^\d/.test(key);

function decode(buffer) {
    let at = 0;
    const need = (count) => {
        if (buffer.length - at < count) throw new Error("the value is cut short");
        at += count;
        return at - count;
    };
    const uint = (width) => buffer.readUIntBE(need(width), width);
    const bytes = (length) => Buffer.from(buffer.subarray(need(length), at));
    const text = (length) => texts.decode(buffer.subarray(need(length), at));
    const big = (value) =>
        value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER
            ? Number(value)
            : value;
    const ext = (length) => {
        const [type, body] = [buffer.readInt8(need(1)), bytes(length)];
        if (type !== WIDE_INT) return new Ext(type, body);
        if (!length) throw new Error("a wide integer without a body");
        return BigInt.asIntN(8 * length, BigInt(`0x${body.toString("hex")}`));
    };
    const list = (length, depth) => {
        if (depth > DEPTH || length > buffer.length - at)
            throw new Error("a list that is too deep or cut short");
        return Array.from({ length }, () => value(depth + 1));
    };
    const map = (length, depth) => {
        if (depth > DEPTH || 2 * length > buffer.length - at)
            throw new Error("a map that is too deep or cut short");
        const pairs = new Map();
        for (let i = 0; i < length; i++) {
            const key = value(depth + 1);
            pairs.set(key, value(depth + 1));
        }
        return [...pairs.keys()].every(fitsObject) ? Object.fromEntries(pairs) : pairs;
    };
    function value(depth) {
        const head = uint(1);
        if (head < 0x80) return head;
        if (head < 0x90) return map(head & 15, depth);
        if (head < 0xa0) return list(head & 15, depth);
        if (head < 0xc0) return text(head & 31);
        if (head >= 0xe0) return head - 256;
        switch (head) {
            case 0xc0:
                return null;
            case 0xc2:
                return false;
            case 0xc3:
                return true;
            case 0xc4:
            case 0xc5:
            case 0xc6:
                return bytes(uint(1 << (head - 0xc4)));
            case 0xc7:
            case 0xc8:
            case 0xc9:
                return ext(uint(1 << (head - 0xc7)));
            case 0xca:
                return buffer.readFloatBE(need(4));
            case 0xcb:
                return buffer.readDoubleBE(need(8));
            case 0xcc:
            case 0xcd:
            case 0xce:
                return uint(1 << (head - 0xcc));
            case 0xcf:
                return big(buffer.readBigUInt64BE(need(8)));
            case 0xd0:
            case 0xd1:
            case 0xd2:
                return buffer.readIntBE(need(1 << (head - 0xd0)), 1 << (head - 0xd0));
            case 0xd3:
                return big(buffer.readBigInt64BE(need(8)));
            case 0xd4:
            case 0xd5:
            case 0xd6:
            case 0xd7:
            case 0xd8:
                return ext(1 << (head - 0xd4));
            case 0xd9:
            case 0xda:
            case 0xdb:
                return text(uint(1 << (head - 0xd9)));
            case 0xdc:
            case 0xdd:
                return list(uint(2 << (head - 0xdc)), depth);
            case 0xde:
            case 0xdf:
                return map(uint(2 << (head - 0xde)), depth);
            default:
                throw new Error(`byte 0x${head.toString(16)} begins no value`);
        }
    }
    const decoded = value(1);
    if (at !== buffer.length) throw new Error("something follows the value");
    return decoded;
}

// A map of texts, by name. Without a prototype every text is a key like any other; their order is none.
function keywords(encoded) {
    const decoded = decode(encoded);
    let pairs = [[null]];
    if (decoded instanceof Map) pairs = [...decoded];
    else if (decoded && typeof decoded === "object" && isObject(decoded))
        pairs = Object.entries(decoded);
    const named = Object.create(null);
    for (const [name, value] of pairs) {
        if (typeof name !== "string") throw new Error("not a map of keywords");
        named[name] = value;
    }
    return named;
}

function encode(root) {
    let out = Buffer.allocUnsafe(256),
        at = 0;
    const room = (count) => {
        if (out.length - at < count)
            out = Buffer.concat([out.subarray(0, at)], Math.max(2 * out.length, at + count));
        at += count;
        return at - count;
    };
    // `out` may be another buffer once there is room, so that comes first.
    const put = (write, value, width) => {
        const place = room(width);
        out[write](value, place, width);
    };
    const byte = (value) => put("writeUIntBE", value, 1);
    const head = (first, value, width) => {
        byte(first);
        put("writeUIntBE", value, width);
    };
    // One of three heads, by the width that a length needs; 0: there is no head of one byte.
    const length = (count, one, two, four) => {
        if (one && count < 0x100) head(one, count, 1);
        else if (count < 0x10000) head(two, count, 2);
        else if (count < 0x100000000) head(four, count, 4);
        else throw new Error("longer than 2^32 - 1");
    };
    const raw = (bytes) => put("set", bytes, bytes.length);
    const ext = (type, body) => {
        const fixed = [1, 2, 4, 8, 16].indexOf(body.length);
        if (fixed < 0) length(body.length, 0xc7, 0xc8, 0xc9);
        else byte(0xd4 + fixed);
        put("writeIntBE", type, 1);
        raw(body);
    };
    const integer = (value) => {
        if (value >= 0n) {
            if (value < 0x80n) byte(Number(value));
            else if (value < 0x100000000n) length(Number(value), 0xcc, 0xcd, 0xce);
            else if (value < 1n << 64n) (byte(0xcf), put("writeBigUInt64BE", value, 8));
            else wide(value);
        } else if (value >= -32n) byte(Number(value) + 256);
        else if (value >= -0x80n) (byte(0xd0), put("writeIntBE", Number(value), 1));
        else if (value >= -0x8000n) (byte(0xd1), put("writeIntBE", Number(value), 2));
        else if (value >= -0x80000000n) (byte(0xd2), put("writeIntBE", Number(value), 4));
        else if (value >= -(1n << 63n)) (byte(0xd3), put("writeBigInt64BE", value, 8));
        else wide(value);
    };
    const wide = (value) => {
        const bits = (value < 0n ? -value : value).toString(2).length;
        const width = Math.floor(bits / 8) + 1;
        ext(
            WIDE_INT,
            Buffer.from(
                BigInt.asUintN(8 * width, value)
                    .toString(16)
                    .padStart(2 * width, "0"),
                "hex",
            ),
        );
    };
    function value(it, depth) {
        if (it === null || it === undefined) byte(0xc0);
        else if (typeof it === "boolean") byte(it ? 0xc3 : 0xc2);
        else if (typeof it === "bigint") integer(it);
        else if (typeof it === "number") {
            if (Number.isSafeInteger(it) && !Object.is(it, -0)) integer(BigInt(it));
            else (byte(0xcb), put("writeDoubleBE", it, 8));
        } else if (typeof it === "string") {
            if (!it.isWellFormed()) throw new Error("a text with lone surrogates");
            const count = Buffer.byteLength(it);
            if (count < 32) byte(0xa0 | count);
            else length(count, 0xd9, 0xda, 0xdb);
            put("write", it, count);
        } else if (it instanceof Uint8Array) (length(it.length, 0xc4, 0xc5, 0xc6), raw(it));
        else if (it instanceof Ext) ext(it.type, it.body);
        else if (
            typeof it !== "object" ||
            !(Array.isArray(it) || it instanceof Map || isObject(it))
        ) {
            throw new Error(
                `cannot encode ${typeof it === "object" ? it.constructor.name : typeof it}`,
            );
        } else if (depth > DEPTH) throw new Error("more than 128 containers inside each other");
        else if (Array.isArray(it)) {
            if (it.length < 16) byte(0x90 | it.length);
            else length(it.length, 0, 0xdc, 0xdd);
            for (const item of it) value(item, depth + 1);
        } else {
            const pairs = it instanceof Map ? [...it] : Object.entries(it);
            if (pairs.length < 16) byte(0x80 | pairs.length);
            else length(pairs.length, 0, 0xde, 0xdf);
            for (const [key, item] of pairs) (value(key, depth + 1), value(item, depth + 1));
        }
    }
    value(root, 1);
    return out.subarray(0, at);
}

module.exports = { decode, encode, keywords, Ext };
