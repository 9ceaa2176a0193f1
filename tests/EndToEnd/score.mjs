// Scores every row of a CSV file with onnxruntime-node: a second opinion that shares no code with the platform.
// usage: node score.mjs MODEL_FOLDER CSV OUT     writes one line a row: the key, then every value of every output
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ort from "onnxruntime-node";

const [folder, csv, out] = process.argv.slice(2);
const card = JSON.parse(readFileSync(join(folder, "model-card.json"), "utf8"));
const [header, ...records] = readFileSync(csv, "utf8").trimEnd().split("\n").map((line) => line.split(","));
const columns = card.features.map(({ name }) => header.indexOf(name));
if (columns.includes(-1)) throw new Error(`${csv} lacks a feature of ${card.name}`);

const rows = new Float32Array(records.length * columns.length);
records.forEach((record, i) =>
  columns.forEach((column, j) => (rows[i * columns.length + j] = record[column] === "" ? NaN : Number(record[column]))));

const session = await ort.InferenceSession.create(join(folder, "model.onnx"));
const outputs = await session.run({ [session.inputNames[0]]: new ort.Tensor("float32", rows, [records.length, columns.length]) });
const lines = records.map((record, i) => {
  const values = session.outputNames.flatMap((name) => {
    const { data, dims } = outputs[name];
    const width = dims[1] ?? 1;
    return Array.from(data.slice(i * width, (i + 1) * width), String);
  });
  return [record[header.indexOf(card.data.key)], ...values].join(",");
});
writeFileSync(out, lines.join("\n") + "\n");
