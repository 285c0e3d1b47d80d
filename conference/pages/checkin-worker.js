// Lets the check-in page open without a line: what it is made of is kept on the device. The coordinator's copy comes
// first, so that a new version is never hidden behind an old one; the API is never touched.

const CACHE = "checkin-1";
const PATIENCE_MS = 4000; // a line that brings nothing for so long is none
const FILES = [
  "/checkin",
  "/static/style.css",
  "/static/checkin.css",
  ...["api", "camera", "checkin", "checkin-code", "checkin-queue", "checkin-sync", "checkin-words", "dom"].map(script),
  ...["hall-checkin", "roster", "search", "self-checkin", "signals"].map(script),
];
// Of the reader of QR codes; a coordinator may be without it.
const READER = ["ponyfill.js", "zxing-exported.js", "zxing_reader.wasm"].map((name) => `/static/vendor/${name}`);

function script(name) {
  return `/static/${name}.js`;
}

async function keep() {
  const cache = await caches.open(CACHE);
  await cache.addAll(FILES);
  await Promise.allSettled(READER.map((name) => cache.add(name)));
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  try {
    const found = await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (found.ok) await cache.put(request, found.clone());
    if (found.status < 500) return found;
  } catch {
    // no line
  }
  return (await cache.match(request, { ignoreSearch: true })) ?? Response.error();
}

self.addEventListener("install", (event) => event.waitUntil(keep().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  const ours = url.pathname === "/checkin" || url.pathname.startsWith("/static/");
  if (event.request.method === "GET" && url.origin === self.location.origin && ours) {
    event.respondWith(answer(event.request));
  }
});
