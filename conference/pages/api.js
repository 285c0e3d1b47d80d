// Calls to the coordinator with the bearer token of the page's link.
// The token stands in the URL's fragment, which no browser sends to a server and no proxy writes to a log.

const TIMEOUT_MS = 10_000;
const FILE_TIMEOUT_MS = 120_000; // as long as the coordinator waits for a file

/** The coordinator refused or could not be reached: `status` is 0 without an answer, `code` as in the problem. */
export class ApiError extends Error {
  constructor(status, code, detail, retryAfterMs = 0, errors = []) {
    super(detail || code);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfterMs = retryAfterMs;
    this.errors = errors;
  }
}

/** The token of the link, or "". */
export function tokenOfLink(location) {
  return new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
}

/** What a token says about itself. It is shown only, never trusted: the coordinator verifies it. */
export function claimsOf(token) {
  try {
    const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

async function problemOf(answer) {
  const retryAfterMs = Number(answer.headers.get("Retry-After") ?? 0) * 1000 || 0;
  try {
    const problem = await answer.json();
    const detail = problem.detail ?? problem.title ?? "";
    return new ApiError(answer.status, problem.code ?? "", detail, retryAfterMs, problem.errors ?? []);
  } catch {
    return new ApiError(answer.status, "", answer.statusText, retryAfterMs);
  }
}

async function ask(token, method, path, { type, body, timeoutMs = TIMEOUT_MS }) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: { Authorization: `Bearer ${token}`, ...(type === undefined ? {} : { "Content-Type": type }) },
      body,
      cache: "no-store",
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch {
    throw new ApiError(0, "unreachable", "");
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

async function bodyOf(answer) {
  if (answer.status === 204) return null;
  try {
    return await answer.json();
  } catch {
    throw new ApiError(answer.status, "malformed", "");
  }
}

/** One call; the parsed body, or null for 204. Throws ApiError, also when nobody answers. */
export async function call(token, method, path, body) {
  const json = body === undefined ? {} : { type: "application/json", body: JSON.stringify(body) };
  return bodyOf(await ask(token, method, path, json));
}

/** Asks for a picture that is drawn for the body: its text. Throws as `call` does. */
export async function picture(token, path, body) {
  return (await ask(token, "POST", path, { type: "application/json", body: JSON.stringify(body) })).text();
}

/** Sends a file as it is; the parsed answer. Throws as `call` does; `errors` of the ApiError are the rows refused. */
export async function upload(token, path, file, type) {
  return bodyOf(await ask(token, "POST", path, { type, body: file, timeoutMs: FILE_TIMEOUT_MS }));
}

/** Fetches a file: a Blob. Throws as `call` does. */
export async function download(token, path) {
  return (await ask(token, "GET", path, { timeoutMs: FILE_TIMEOUT_MS })).blob();
}

/**
 * Waits, between half and all of `ms`: many halls that lost the same server do not return at the same moment.
 * Never less than the server asked for (`leastMs`), and up to a second more, since it counts in whole seconds.
 */
export function jittered(ms, signal, leastMs = 0) {
  const asked = leastMs > 0 ? leastMs + Math.random() * 1000 : 0;
  return sleep(Math.max(ms * (0.5 + Math.random() / 2), asked), signal);
}

/** Waits `ms`, or until `signal` is aborted. */
export function sleep(ms, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}
