// Calls to the coordinator with the bearer token of the page's link.
// The token stands in the URL's fragment, which no browser sends to a server and no proxy writes to a log.

const TIMEOUT_MS = 10_000;

/** The coordinator refused or could not be reached: `status` is 0 without an answer, `code` as in the problem. */
export class ApiError extends Error {
  constructor(status, code, detail, retryAfterMs = 0) {
    super(detail || code);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfterMs = retryAfterMs;
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
    return new ApiError(answer.status, problem.code ?? "", problem.detail ?? problem.title ?? "", retryAfterMs);
  } catch {
    return new ApiError(answer.status, "", answer.statusText, retryAfterMs);
  }
}

/** One call; the parsed body, or null for 204. Throws ApiError, also when nobody answers. */
export async function call(token, method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: {
        Authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new ApiError(0, "unreachable", "");
  }
  if (!answer.ok) throw await problemOf(answer);
  if (answer.status === 204) return null;
  try {
    return await answer.json();
  } catch {
    throw new ApiError(answer.status, "malformed", "");
  }
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
