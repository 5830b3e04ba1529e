// Gathers the microphone's samples into blocks of 2048, in the browser's thread for sound.
class Recorder extends AudioWorkletProcessor {
  block = new Float32Array(2048);
  filled = 0;

  process([channels]) {
    for (const sample of channels[0] ?? []) {
      this.block[this.filled++] = sample;
      if (this.filled === this.block.length) {
        this.port.postMessage(this.block.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}
registerProcessor("recorder", Recorder);
