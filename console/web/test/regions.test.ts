import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { regionName, regions } from "../src/model/regions";

it("Regions are called what the catalog calls them", () => {
  const catalog = readFileSync("../../bedrock/catalog/catalog.txt", "utf8");
  const lines = new Map(catalog.split("\n").map((l) => l.split("\t")).filter((p) => p[0] === "region").map((p) => [p[1], p]));
  for (const r of regions) expect([regionName(r, "en"), regionName(r, "ja")], r).toEqual([lines.get(r)?.[3], lines.get(r)?.[4]]);
});
