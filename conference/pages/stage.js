// The screen of a hall: one video element per session, one of them in front.

export class Stage {
  #room;
  #videos = new Map();

  /** `room` is the element that holds the videos, stacked. */
  constructor(room) {
    this.#room = room;
  }

  /** Gives a session its video behind the one in front, muted, so that decoding begins with its first packet. */
  attach(session) {
    const video = document.createElement("video");
    video.autoplay = true;
    video.muted = true;
    video.playsInline = true;
    video.disablePictureInPicture = true;
    video.srcObject = session.stream;
    this.#videos.set(session, video);
    this.#room.prepend(video);
    video.play().catch(() => {}); // it plays when the first frame comes
  }

  /** Resolves with the moment (performance.now()) at which the session's next frame is on the screen. */
  firstFrame(session) {
    const video = this.#videos.get(session);
    return new Promise((resolve) => {
      video?.requestVideoFrameCallback((_now, frame) => resolve(frame.presentationTime));
    });
  }

  /** Brings a session to the front, with its sound; all others fall silent. */
  present(session) {
    for (const [each, video] of this.#videos) {
      const front = each === session;
      video.classList.toggle("front", front);
      video.muted = !front;
      if (front) video.play().catch(() => {});
    }
  }

  /** Forgets a session's video. */
  detach(session) {
    const video = this.#videos.get(session);
    if (!video) return;
    this.#videos.delete(session);
    video.srcObject = null;
    video.remove();
  }
}
