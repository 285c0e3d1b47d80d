// Reads QR codes with the device's camera: by the browser's own reader where it has one, else by the one from npm.

const LOOK_EVERY_MS = 120; // some eight looks a second: a code is read before the hand is still, an old phone keeps up
const GONE_MS = 2000; // a code that was out of sight for so long is another presentation of it

/** Why no camera reads: `code` is "insecure", "refused", "absent" or "no_reader". */
export class CameraError extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/** A reader of QR codes with `detect(video)`, or a CameraError. */
async function reader() {
  if (globalThis.BarcodeDetector) {
    const formats = await BarcodeDetector.getSupportedFormats().catch(() => []);
    if (formats.includes("qr_code")) return new BarcodeDetector({ formats: ["qr_code"] });
  }
  try {
    const { BarcodeDetector: Detector, prepareZXingModule } = await import("/static/vendor/ponyfill.js");
    // From here, and not from where the package would fetch it.
    prepareZXingModule({ overrides: { locateFile: (name) => `/static/vendor/${name}` } });
    return new Detector({ formats: ["qr_code"] });
  } catch {
    throw new CameraError("no_reader");
  }
}

async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) throw new CameraError("insecure");
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } },
    });
  } catch (error) {
    throw new CameraError(error.name === "NotAllowedError" ? "refused" : "absent");
  }
}

/** Shows the camera in `video` and calls `onText` once for each code that comes into sight; resolves with a way to stop. */
export async function startCamera(video, onText) {
  const detector = await reader();
  const stream = await openCamera();
  let stopped = false;
  const stop = () => {
    stopped = true;
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
  video.srcObject = stream;
  await video.play().catch(() => {}); // a hidden page plays when it is shown
  const seen = new Map(); // text -> when it was last in sight
  const look = async () => {
    if (stopped) return;
    if (video.readyState >= 2 && document.visibilityState === "visible") {
      const found = await detector.detect(video).catch(() => []);
      const now = performance.now();
      for (const [text, at] of seen) if (now - at > GONE_MS) seen.delete(text);
      for (const { rawValue } of found) {
        if (!seen.has(rawValue) && !stopped) onText(rawValue);
        seen.set(rawValue, now);
      }
    }
    setTimeout(look, LOOK_EVERY_MS);
  };
  look();
  return stop;
}
