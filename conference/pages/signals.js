// A sound and a shake for each result, so that nobody has to look at the screen.

let context = null;

/** Sounds are allowed once the person has touched the page: call this then. */
export function allowSound() {
  const Context = globalThis.AudioContext ?? globalThis.webkitAudioContext;
  if (!Context) return;
  context ??= new Context();
  context.resume?.().catch(() => {});
}

function beep(frequency, startS, lengthS) {
  const tone = context.createOscillator();
  const volume = context.createGain();
  const at = context.currentTime + startS;
  tone.frequency.value = frequency;
  volume.gain.setValueAtTime(0.25, at);
  volume.gain.exponentialRampToValueAtTime(0.001, at + lengthS);
  tone.connect(volume).connect(context.destination);
  tone.start(at);
  tone.stop(at + lengthS);
}

/** One high tone for what went well, two low ones for what somebody has to look at. */
export function signal(wentWell) {
  navigator.vibrate?.(wentWell ? 80 : [160, 80, 160]);
  if (context?.state !== "running") return;
  if (wentWell) beep(1320, 0, 0.18);
  else for (const startS of [0, 0.28]) beep(330, startS, 0.22);
}
