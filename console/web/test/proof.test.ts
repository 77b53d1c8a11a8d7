// @vitest-environment node
// Vectors that the Go code made: go test ./awsapi/cloudtrail -run TestProofVectors -update
import { beforeAll, describe, expect, it, vi } from "vitest";
import { readFileSync } from "node:fs";
import { Bad, base64, canCheck, difference, grewFrom, grown, included, inLog, openCheckpoint, receipt, receipts, ring, type Ring, type Standing } from "../src/model/proof";

type Vectors = { standing: Standing; events: { proof: NonNullable<Standing["EventProof"]>; record: string }[]; grown: { since: string; proof: NonNullable<Standing["ConsistencyProof"]> }[] };
const v: Vectors = JSON.parse(readFileSync("test/proof.vectors.json", "utf8"));
const why = async (p: Promise<unknown>) =>
  p.then(
    () => "believed",
    (e) => (e instanceof Bad ? e.why : String(e)),
  );
vi.setConfig({ testTimeout: 120_000 }); // thousands of small asynchronous steps, on a machine that may be busy
let keys: Ring;
beforeAll(async () => {
  keys = await ring(v.standing.PublicKeys!);
});

describe("keys and checkpoints", () => {
  it("are those that Go wrote", async () => {
    expect(await canCheck()).toBe(true);
    expect([...keys.values()].map((k) => [k.name, k.peer])).toEqual([
      ["tokaido/111122223333/region/ap-northeast-1", false],
      ["tokaido/111122223333/region/ap-northeast-3", false],
      ["tokaido/111122223333/trail", false],
      ["tokaido/444455556666/region/us-west-2", true],
      ["tokaido/444455556666/trail", true],
    ]);
    const c = await openCheckpoint(v.standing.Checkpoint!, keys);
    expect(c).toMatchObject({ origin: "tokaido/111122223333/trail", records: 21, time: new Date("2026-11-21T02:00:00.123Z") });
  });
  it("are not believed with any byte changed", async () => {
    const note = v.standing.Checkpoint!;
    for (let i = 0; i < note.length; i++) {
      const c = String.fromCharCode(note.charCodeAt(i) ^ 1);
      expect(await why(openCheckpoint(note.slice(0, i) + c + note.slice(i + 1), keys)), `byte ${i}`).toMatch(/^(form|noteKey|noteSignature)$/);
    }
  });
  it("are not believed of another key", async () => {
    expect(await why(openCheckpoint(v.standing.Checkpoint!, new Map()))).toBe("noteKey");
    // another node's key signs receipts for this one, not its log
    const peers = await ring(v.standing.PublicKeys!.map((k) => ({ ...k, Source: "PEER" })));
    expect(await why(openCheckpoint(v.standing.Checkpoint!, peers))).toBe("noteKey");
  });
  it("cannot be checked where a browser has no cryptography, or no Ed25519", async () => {
    const none = () => Promise.reject(new DOMException("no", "NotSupportedError"));
    for (const crypto of [undefined, {}, { subtle: { importKey: none } }]) {
      vi.stubGlobal("crypto", crypto);
      vi.resetModules();
      expect(await (await import("../src/model/proof")).canCheck()).toBe(false);
    }
    vi.unstubAllGlobals();
  });
  it("leave out what is no key", async () => {
    const text = v.standing.PublicKeys![0]!.PublicKey!;
    const [name, hash, data] = text.split(/\+(.{8})\+/) as [string, string, string];
    const bad = ["", "x", text + " ", `${name}+00000000+${data}`, `${name}+${hash}+${data.slice(4)}`, `other+${hash}+${data}`];
    expect((await ring(bad.map((PublicKey) => ({ PublicKey })))).size).toBe(0);
  });
});

describe("a record's proof", () => {
  it("holds for every record, and for no other", async () => {
    for (const [i, e] of v.events.entries()) {
      const got = await inLog(e.proof.Proof!, e.record, keys);
      expect(got).toMatchObject({ record: i + 1, checkpoint: { records: 21 } });
      expect(await why(inLog(e.proof.Proof!, v.events[(i + 1) % v.events.length]!.record, keys))).toBe("otherRecord");
    }
  });
  it("says what of the record shown is not as it was stored", async () => {
    const e = v.events[0]!;
    for (const [path, edit] of [
      ["/additionalEventData/inferenceRegion", (j: any) => (j.additionalEventData.inferenceRegion = "ap-northeast-1")],
      ["/userIdentity/sessionContext/sessionIssuer/arn", (j: any) => (j.userIdentity.sessionContext.sessionIssuer.arn = "x")],
      ["/errorCode", (j: any) => (j.errorCode = "x")],
      ["/resources/0/ARN", (j: any) => (j.resources[0].ARN = "x")],
      ["/additionalEventData/state", (j: any) => delete j.additionalEventData.state],
    ] as const) {
      const j = JSON.parse(e.record);
      edit(j);
      const p = inLog(e.proof.Proof!, JSON.stringify(j), keys);
      await expect(p).rejects.toMatchObject({ why: "otherRecord", what: path });
    }
  });
  it("is not believed with any byte changed", async () => {
    const { proof, record } = v.events[10]!;
    const p = proof.Proof!;
    for (let i = 0; i < p.length; i += 7) {
      const c = String.fromCharCode(p.charCodeAt(i) ^ 2);
      expect(await why(inLog(p.slice(0, i) + c + p.slice(i + 1), record, keys)), `byte ${i}`).toMatch(/^(form|noteKey|noteSignature|otherRecord|otherPlace|notInTree)$/);
    }
    for (const cut of [0, 1, 20, p.length - 40]) expect(await why(inLog(p.slice(0, cut), record, keys))).not.toBe("believed");
  });
  it("is not believed with hashes left out, added, or in another order", async () => {
    const { proof, record } = v.events[4]!;
    const [head, path, note] = proof.Proof!.split(/(?<=index 4\n)((?:\S+\n)+)/) as [string, string, string];
    const lines = path.trimEnd().split("\n");
    expect(lines.length).toBe(5);
    for (const l of [lines.slice(1), lines.slice(0, -1), [...lines, lines[0]!], [...lines].reverse(), []]) expect(await why(inLog(head + l.map((x) => x + "\n").join("") + note, record, keys))).toBe("notInTree");
  });
});

describe("growth", () => {
  it("is proven from every earlier checkpoint", async () => {
    for (const g of v.grown) {
      const since = await openCheckpoint(g.since, keys);
      expect((await grewFrom(g.proof.Proof!, since, keys)).records).toBe(21);
      expect(await why(grewFrom(g.proof.Proof!, { ...since, root: new Uint8Array(32) }, keys))).toBe("notGrown");
      expect(await why(grewFrom(g.proof.Proof!, { ...since, records: since.records + 1 }, keys))).toBe("form");
    }
  });
  it("is not believed with any byte changed", async () => {
    const g = v.grown[2]!; // of 5 records
    const since = await openCheckpoint(g.since, keys);
    const p = g.proof.Proof!;
    for (let i = 0; i < p.length; i += 2) {
      const c = String.fromCharCode(p.charCodeAt(i) ^ 2);
      expect(await why(grewFrom(p.slice(0, i) + c + p.slice(i + 1), since, keys)), `byte ${i}`).toMatch(/^(form|noteKey|noteSignature|notGrown)$/);
    }
  });
});

describe("the tree", () => {
  // The obvious way, against which the clever one is held: RFC 9162, 2.1.
  const sha = async (...parts: Uint8Array[]) => new Uint8Array(await crypto.subtle.digest("SHA-256", Buffer.concat(parts) as any));
  type B = Uint8Array<ArrayBuffer>;
  const split = (n: number) => 2 ** Math.floor(Math.log2(n - 1));
  const root = async (d: B[]): Promise<B> => (d.length === 1 ? d[0]! : sha(Uint8Array.of(1), await root(d.slice(0, split(d.length))), await root(d.slice(split(d.length)))));
  const path = async (m: number, d: B[]): Promise<B[]> => {
    if (d.length === 1) return [];
    const k = split(d.length);
    return m < k ? [...(await path(m, d.slice(0, k))), await root(d.slice(k))] : [...(await path(m - k, d.slice(k))), await root(d.slice(0, k))];
  };
  const sub = async (m: number, d: B[], b: boolean): Promise<B[]> => {
    if (m === d.length) return b ? [] : [await root(d)];
    const k = split(d.length);
    return m <= k ? [...(await sub(m, d.slice(0, k), b)), await root(d.slice(k))] : [...(await sub(m - k, d.slice(k), false)), await root(d.slice(0, k))];
  };
  it("of every size up to 17 has its leaves and its beginnings, and no others", async () => {
    const leaves = await Promise.all([...Array(17).keys()].map((i) => sha(Uint8Array.of(0, i))));
    const roots = await Promise.all(leaves.map((_, i) => root(leaves.slice(0, i + 1))));
    for (let n = 1; n <= 17; n++) {
      const d = leaves.slice(0, n);
      for (let i = 0; i < n; i++) {
        const p = await path(i, d);
        expect(await included(leaves[i]!, i, n, p, roots[n - 1]!)).toBe(true);
        expect(await included(leaves[(i + 1) % 17]!, i, n, p, roots[n - 1]!)).toBe(false);
        if (n > 1) expect(await included(leaves[i]!, (i + 1) % n, n, p, roots[n - 1]!)).toBe(false);
      }
      for (let m = 1; m <= n; m++) {
        const p = await sub(m, d, true);
        expect(await grown(m, roots[m - 1]!, n, roots[n - 1]!, p), `${m} of ${n}`).toBe(true);
        expect(await grown(m, roots[m % 17]!, n, roots[n - 1]!, p)).toBe(false);
      }
    }
    expect(await included(leaves[0]!, 1, 1, [], roots[0]!)).toBe(false);
    expect(await grown(0, roots[0]!, 2, roots[1]!, [])).toBe(false);
    expect(await grown(2, roots[1]!, 1, roots[0]!, [])).toBe(false);
  });
});

describe("receipts", () => {
  it("are good, absent or bad, and why", async () => {
    const got = await receipts(
      v.events.map((e) => ({ json: e.record })),
      keys,
      () => {},
      new AbortController().signal,
    );
    const said = [...got.values()].map((r) => [r.state, r.why ?? ""].join(" ").trim());
    expect(said.slice(0, 9)).toEqual(["verified", "none", "verified", "bad receiptKey", "bad receiptSignature", "bad receiptRegion", "bad receiptOther", "none", "none"]);
    expect(said.slice(9).every((s) => s === "verified")).toBe(true);
    const [first, second, third] = [...got.values()];
    expect(first).toMatchObject({ region: "ap-northeast-3", key: { name: "tokaido/111122223333/region/ap-northeast-3", peer: false } });
    expect(second!.what).toContain("sent none");
    expect(third).toMatchObject({ region: "us-west-2", key: { peer: true } });
    for (const e of v.events) {
      const r = e.proof.Receipt; // what is checked is what the server says is signed
      const j = JSON.parse(e.record).additionalEventData?.receipt;
      expect(r?.Signature).toBe(j?.signature);
    }
  });
  it("are bad with any member changed", async () => {
    const r = JSON.parse(v.events[0]!.record);
    for (const k of Object.keys(r.additionalEventData.receipt)) {
      const j = structuredClone(r);
      const s: string = j.additionalEventData.receipt[k];
      j.additionalEventData.receipt[k] = s.slice(0, -1) + (s.endsWith("1") ? "2" : "1");
      expect((await receipt(JSON.stringify(j), keys)).state, k).toBe("bad");
      j.additionalEventData.receipt[k] = 7;
      expect((await receipt(JSON.stringify(j), keys)).state, k).toBe("bad");
    }
    r.additionalEventData.receiptProblem = "receipt: it is of another answer";
    expect(await receipt(JSON.stringify(r), keys)).toMatchObject({ state: "bad", why: "receiptNoted" });
    expect(await receipt("no JSON", keys)).toEqual({ state: "none" });
  });
  it("can be given up", async () => {
    const a = new AbortController();
    a.abort();
    await expect(receipts([{ json: v.events[0]!.record }], keys, () => {}, a.signal)).rejects.toThrow();
  });
});

it("tells where documents differ", () => {
  expect(difference({ a: 1, b: [1, { c: null }] }, { b: [1, { c: null }], a: 1, d: undefined })).toBeUndefined();
  expect(difference({ a: [] }, { a: {} })).toBe("/a");
  expect(difference(null, {})).toBe("/");
  expect(difference({ a: [1, 2] }, { a: [1] })).toBe("/a/1");
  expect(base64(Uint8Array.of(255, 0))).toBe("/wA=");
});
