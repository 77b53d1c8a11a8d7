import { afterEach, describe, expect, it, vi } from "vitest";
import { page } from "../src/app/routes";
import { early, taken } from "../src/aws/early";
import { begin, end, setRegion } from "../src/aws/session";

const session = { credentials: { accessKeyId: "a", secretAccessKey: "b", sessionToken: "c" }, arn: "arn:aws:iam::1:root", account: "1", how: "dev" as const };

describe("pages", () => {
  it.each([
    ["/", "/"],
    ["/state-machines", "/state-machines"],
    ["/state-machines/", "/state-machines"],
    ["/state-machines/create", "/state-machines/create"],
    ["/state-machines/arn%3Aaws", "/state-machines/:arn"],
    ["/iam/roles/x", "/iam/roles/:name"],
    ["/profiles/a:0", "/profiles/:id"],
    ["/no-such-page", undefined],
    ["/state-machines/a/b", undefined],
  ])("of %s is %s", (path, is) => expect(page(path)).toBe(is));
});

describe("an early call", () => {
  afterEach(() => {
    end("out");
    vi.useRealTimers();
  });
  const answer = (v: string) => vi.fn(async () => v);
  it("is made once and answers once", async () => {
    begin(session);
    const first = answer("early");
    early("k", first);
    early("k", first);
    const later = answer("later");
    expect(await taken("k", later)).toBe("early");
    expect(await taken("k", later)).toBe("later");
    expect([first.mock.calls.length, later.mock.calls.length]).toEqual([1, 1]);
  });
  it("is not made for nobody, nor kept for another Region or for long", async () => {
    const no = answer("nobody's");
    early("k", no);
    expect(no).not.toHaveBeenCalled();
    begin(session);
    early("k", answer("tokyo's"));
    setRegion("ap-northeast-3");
    expect(await taken("k", answer("osaka's"))).toBe("osaka's");
    vi.useFakeTimers();
    early("k", answer("old"));
    vi.setSystemTime(Date.now() + 60_000);
    expect(await taken("k", answer("new"))).toBe("new");
  });
  it("that fails is told to who takes it", async () => {
    begin(session);
    early("k", () => Promise.reject(new Error("refused")));
    await expect(taken("k", answer("x"))).rejects.toThrow("refused");
    expect(await taken("k", answer("x"))).toBe("x");
  });
});
