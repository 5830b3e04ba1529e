"use strict";
// Gathers the microphone's samples into blocks of an eighth of a second, in the browser's thread for sound.
class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(Math.round(sampleRate / 8));
    this.filled = 0;
  }

  process([channels]) {
    const samples = channels[0];
    for (let place = 0; samples && place < samples.length; place += 1) {
      this.block[this.filled++] = samples[place];
      if (this.filled === this.block.length) {
        this.port.postMessage(this.block.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}
registerProcessor("recorder", Recorder);
