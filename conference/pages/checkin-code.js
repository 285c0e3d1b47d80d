// A delegate's QR code as the pages read it: one decimal number, see docs/protocol.md. Pure, but for the browser's own
// cryptography. What cannot be checked here is left to the coordinator, which checks all of it.

const LENGTH = 74; // version, conference, number, issue, signature
const SIGNED = 10; // what of it the signature covers
const VERSION = 1;
const PREFIX = new TextEncoder().encode("diemcau checkin 1\0");
// As decimal digits: the first byte is 1, so every code of version 1 has 176 or 177 of them. Two scans in one are none.
const DIGITS = /^\D*(\d{170,180})\D*$/;

/** The digits of a code in what a scanner typed or a camera read, or "". */
export function digitsOf(text) {
  return DIGITS.exec(text.replace(/\s/g, ""))?.[1] ?? "";
}

/** True when a text field holds so many digits that no person typed them: a scanner is at work. */
export function isScannerAtWork(text) {
  return /\d{21}/.test(text);
}

/** Reads a code: {number, issue, conference, signed, signature}, or null where the digits are none. */
export function readCode(digits) {
  let value = BigInt(digits);
  const bytes = new Uint8Array(LENGTH);
  for (let at = LENGTH - 1; at >= 0; at -= 1) {
    bytes[at] = Number(value & 0xffn);
    value >>= 8n;
  }
  if (value !== 0n || bytes[0] !== VERSION) return null;
  return {
    conference: bytes.slice(1, 5),
    number: new DataView(bytes.buffer).getUint32(5),
    issue: bytes[9],
    signed: bytes.slice(0, SIGNED),
    signature: bytes.slice(SIGNED),
  };
}

/**
 * Judges a code without the coordinator: "other_conference", "forged", or "" where nothing speaks against it.
 *
 * `publicKey` is a CryptoKey, or null where the browser or the link gave none.
 */
export async function judge(code, conferenceId, publicKey) {
  if (!code) return "forged";
  if (!globalThis.crypto?.subtle) return ""; // not a secure origin
  const name = new TextEncoder().encode(conferenceId);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", name));
  if (code.conference.some((byte, at) => byte !== digest[at])) return "other_conference";
  if (!publicKey) return "";
  const text = new Uint8Array([...PREFIX, ...name, 0, ...code.signed]);
  return (await crypto.subtle.verify("Ed25519", publicKey, code.signature, text)) ? "" : "forged";
}

/** Imports the coordinator's public key (32 bytes, base64url), or null where this browser knows no Ed25519. */
export async function importKey(text) {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
    return await crypto.subtle.importKey("raw", bytes, "Ed25519", false, ["verify"]);
  } catch {
    return null;
  }
}

/** A nonce of a scan: 53 random bits, for JSON numbers hold no more. */
export function drawNonce() {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return (high & 0x1fffff) * 2 ** 32 + low;
}
