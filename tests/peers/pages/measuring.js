// What a judge asks of a page: the level that it hears, what WebRTC counts, what came after what.

/** Measure a MediaStream each 50 ms; `levels` are RMS values, 1 is full scale. */
export function meter(stream) {
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 2048 });
  new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const levels = [];
  setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    levels.push(Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length));
  }, 50);
  return levels;
}

/** Return the `inbound-rtp` statistics of a peer connection's audio. */
export async function inbound(pc) {
  for (const report of (await pc.getStats()).values()) {
    if (report.type === "inbound-rtp" && report.kind === "audio") return report;
  }
  return null;
}

/** Tell whether an event of type `kind` came after the last one of type `other`. */
export function since(events, kind, other) {
  const last = (type) => events.findLastIndex((event) => event.type === type);
  return last(kind) > last(other);
}
