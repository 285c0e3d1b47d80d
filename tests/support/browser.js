// What a test's page can do: publish over WHIP and play over WHEP, and tell its statistics.
window.conference = {
  // The relay's media port is replaced by `mediaPort` where that is given: something stands between.
  async connect(pc, url, token, mediaPort) {
    const offer = await pc.createOffer();
    if (window.reportsRoundTrips) {
      offer.sdp = offer.sdp.replace(/a=rtcp-fb:(\d+) nack\r\n/g, "$&a=rtcp-fb:$1 rrtr\r\n");
    }
    await pc.setLocalDescription(offer);
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` },
      body: pc.localDescription.sdp,
    });
    if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
    let sdp = await response.text();
    if (mediaPort) sdp = sdp.replace(/^(a=candidate:(?:\S+ ){5})\d+/gm, `$1${mediaPort}`);
    await pc.setRemoteDescription({ type: "answer", sdp });
    await new Promise((resolve, reject) => {
      const look = () => {
        if (pc.connectionState === "connected") resolve();
        if (pc.connectionState === "failed") reject(new Error("connection failed"));
      };
      pc.addEventListener("connectionstatechange", look);
      look();
    });
    return new URL(response.headers.get("Location"), url).href;
  },

  async publish(url, token, codec, audio = "opus", encodings = undefined) {
    const size = encodings ? { width: 1280, height: 720 } : { width: 640, height: 360 };
    const media = await navigator.mediaDevices.getUserMedia({ video: { ...size, frameRate: 30 }, audio: true });
    const pc = new RTCPeerConnection();
    for (const track of media.getTracks()) {
      const sendEncodings = track.kind === "video" && encodings ? encodings : undefined;
      const transceiver = pc.addTransceiver(track, { direction: "sendonly", sendEncodings });
      const codecs = RTCRtpSender.getCapabilities(track.kind).codecs;
      const named = (name) => codecs.filter((c) => c.mimeType.toLowerCase() === `${track.kind}/${name}`);
      // Redundancy is made of opus, which has to be offered beside it.
      const chosen = track.kind === "video" ? named(codec) : [...new Set([...named(audio), ...named("opus")])];
      transceiver.setCodecPreferences(chosen);
    }
    window.publisher = pc;
    return this.connect(pc, url, token);
  },

  async play(url, token, mediaPort) {
    const pc = new RTCPeerConnection();
    pc.addTransceiver("video", { direction: "recvonly" });
    pc.addTransceiver("audio", { direction: "recvonly" });
    const stream = new MediaStream();
    const video = document.createElement("video");
    video.autoplay = true;
    document.body.append(video);
    pc.addEventListener("track", (event) => {
      stream.addTrack(event.track);
      video.srcObject = stream;
    });
    window.player = pc;
    // Each picture that was shown: when, in seconds, and how wide it was.
    window.pictures = [];
    const note = (now, picture) => {
      window.pictures.push([now / 1000, picture.width]);
      video.requestVideoFrameCallback(note);
    };
    video.requestVideoFrameCallback(note);
    return this.connect(pc, url, token, mediaPort);
  },

  /** Restarts ICE by RFC 9725 section 4.3.3; gives the status, the new entity tag and our new user name fragment. */
  async restart(pc, resource, token) {
    pc.restartIce();
    await pc.setLocalDescription();
    const own = (name) => pc.localDescription.sdp.match(new RegExp(`a=${name}:(\\S+)`))[1];
    const response = await fetch(resource, {
      method: "PATCH",
      headers: {
        "Content-Type": "application/trickle-ice-sdpfrag",
        "If-Match": "*",
        Authorization: `Bearer ${token}`,
      },
      body: `a=ice-ufrag:${own("ice-ufrag")}\r\na=ice-pwd:${own("ice-pwd")}\r\n`,
    });
    const fragment = await response.text();
    if (response.status !== 200) throw new Error(`${response.status} ${fragment}`);
    const theirs = (name) => fragment.match(new RegExp(`a=${name}:\\S+`))[0];
    const sdp = pc.currentRemoteDescription.sdp
      .replace(/a=ice-ufrag:\S+/g, theirs("ice-ufrag"))
      .replace(/a=ice-pwd:\S+/g, theirs("ice-pwd"));
    await pc.setRemoteDescription({ type: "answer", sdp });
    return { etag: response.headers.get("ETag"), ufrag: own("ice-ufrag") };
  },

  async statistics(pc, type) {
    const found = [];
    (await pc.getStats()).forEach((report) => {
      if (report.type === type) found.push(report);
    });
    return found;
  },

  /** Notes from now on when each frame of the player is presented, in ms. */
  watch() {
    const video = document.querySelector("video");
    const times = [];
    // On the clock that all pages share.
    this.presented = () => times.map((time) => performance.timeOrigin + time);
    const note = (now) => {
      times.push(now);
      video.requestVideoFrameCallback(note);
    };
    video.requestVideoFrameCallback(note);
  },

  async played() {
    const reports = await this.statistics(window.player, "inbound-rtp");
    const video = reports.find((report) => report.kind === "video") ?? {};
    const audio = reports.find((report) => report.kind === "audio") ?? {};
    const codecs = await this.statistics(window.player, "codec");
    const senders = await this.statistics(window.player, "remote-outbound-rtp");
    const sender = senders.find((report) => report.kind === "video") ?? {};
    return {
      roundTripMs: (1000 * (sender.totalRoundTripTime ?? 0)) / Math.max(sender.roundTripTimeMeasurements ?? 0, 1),
      // With redundancy each packet brings the one before again, which is counted as discarded where it was not lost.
      audioDiscarded: audio.packetsDiscarded ?? 0,
      videoCodec: codecs.find((codec) => codec.id === video.codecId)?.mimeType ?? "",
      framesDecoded: video.framesDecoded ?? 0,
      keyFramesDecoded: video.keyFramesDecoded ?? 0,
      framesDropped: video.framesDropped ?? 0,
      videoPacketsLost: video.packetsLost ?? 0,
      videoBytes: video.bytesReceived ?? 0,
      at: (video.timestamp ?? 0) / 1000,
      freezeCount: video.freezeCount ?? 0,
      freezeSeconds: video.totalFreezesDuration ?? 0,
      nacks: video.nackCount ?? 0,
      plis: video.pliCount ?? 0,
      retransmitted: video.retransmittedPacketsReceived ?? 0,
      jitterBufferMs: (1000 * (video.jitterBufferDelay ?? 0)) / Math.max(video.jitterBufferEmittedCount ?? 0, 1),
      width: video.frameWidth ?? 0,
      audioPackets: audio.packetsReceived ?? 0,
      audioEnergy: audio.totalAudioEnergy ?? 0,
      concealedSamples: audio.concealedSamples ?? 0,
    };
  },
};
