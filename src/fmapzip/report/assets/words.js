// What the words of a report mean, for a reader who meets them here first.

const VOCABULARY = [
  ["feature map", "What one layer of a network writes and a later one reads: a stack of small images, its channels. Here each is rounded to 8-bit integers before anything else."],
  ["ratio", "Bytes of the 8-bit integers over bytes stored, everything counted. 2 means half the bytes; against 32-bit floats it is four times as much."],
  ["beside", "What is kept once for all images: the plan with its tables, or what a baseline learns. Maps alone: the ratio without it."],
  ["lossless", "The decoded integers are those that were encoded, so the network computes exactly what the 8-bit network does."],
  ["KL", "How far the class probabilities moved from the float network's: the Kullback-Leibler divergence, in nats, mean over images. 0 is no change; around 0.03 few predictions change."],
  ["SQNR", "Signal to quantization noise ratio, in dB: 20 dB is an error of a tenth of the signal's size, 40 dB of a hundredth. Infinite (left empty) without loss."],
  ["entropy", "Order 0: bits a value of the best code that knows how often each value occurs and nothing of its neighbours. What is smaller uses them."],
  ["zeros", "The share of integers that are zero. Networks with ReLU make many, late layers most; that is what simple codecs live on."],
];

function vocabulary() {
  return [make("h2", {}, "Words"), make("dl", {}, VOCABULARY.flatMap(([word, meaning]) => [make("dt", {}, word), make("dd", {}, meaning)]))];
}
