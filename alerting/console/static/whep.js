// Receiving live video by WHEP: one offer, one answer, all candidates in them.

const GATHERING_LIMIT_MS = 2000;

export class Viewing {
  constructor(video, onState) {
    this.video = video;
    this.onState = onState;
    this.peer = null;
    this.resource = null;
    this.token = "";
  }

  async open({ whepUrl, token }) {
    this.token = token;
    this.peer = new RTCPeerConnection({ iceServers: [] });
    this.peer.addTransceiver("video", { direction: "recvonly" });
    this.peer.addEventListener("track", (event) => {
      this.video.srcObject = event.streams[0] ?? new MediaStream([event.track]);
      this.video.play().catch(() => {});
    });
    this.peer.addEventListener("connectionstatechange", () => this.onState(this.peer?.connectionState ?? "closed"));
    await this.peer.setLocalDescription(await this.peer.createOffer());
    await gathered(this.peer);
    const response = await fetch(whepUrl, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` },
      body: this.peer.localDescription.sdp,
    });
    if (!response.ok) throw new Error(`live view refused (${response.status})`);
    const location = response.headers.get("Location");
    this.resource = location ? new URL(location, whepUrl).href : null;
    await this.peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
  }

  close() {
    if (this.resource) {
      fetch(this.resource, { method: "DELETE", headers: { Authorization: `Bearer ${this.token}` }, keepalive: true })
        .catch(() => {});
    }
    this.resource = null;
    this.peer?.close();
    this.peer = null;
    this.video.srcObject = null;
  }
}

function gathered(peer) {
  return new Promise((resolve) => {
    const done = () => peer.iceGatheringState === "complete" && resolve();
    peer.addEventListener("icegatheringstatechange", done);
    setTimeout(resolve, GATHERING_LIMIT_MS);
    done();
  });
}
