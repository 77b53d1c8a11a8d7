import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import AslGraph from "../src/graph/AslGraph";
import { Localized } from "../src/i18n";
import { load } from "../src/i18n/load";

const size = { clientWidth: 600, clientHeight: 500 };
beforeAll(async () => {
  await load("en"); // so that it is drawn at once
  for (const [k, v] of Object.entries(size)) Object.defineProperty(HTMLElement.prototype, k, { configurable: true, get: () => v });
  vi.stubGlobal("ResizeObserver", class { observe() {} unobserve() {} disconnect() {} });
  localStorage.setItem("tokaido.locale", "en");
  vi.stubGlobal("CSS", { escape: (s: string) => s.replace(/["\\]/g, "\\$&") });
}, 120_000);
afterEach(cleanup);
afterAll(() => vi.unstubAllGlobals());

const chain = (n: number, comment = "") => JSON.stringify({ Comment: comment, StartAt: "S0", States: Object.fromEntries(Array.from({ length: n }, (_, i) => ["S" + i, i === n - 1 ? { Type: "Succeed" } : { Type: "Pass", Next: "S" + (i + 1) }])) });
const branch = (i: number) => ({ StartAt: "A" + i, States: { ["A" + i]: { Type: "Pass", Next: "B" + i }, ["B" + i]: { Type: "Pass", Next: "C" + i }, ["C" + i]: { Type: "Succeed" } } });
const side = (n: number) => JSON.stringify({ StartAt: "P", States: { P: { Type: "Parallel", Branches: Array.from({ length: n }, (_, i) => branch(i)), End: true } } });
const state = (name: string) => document.querySelector<HTMLElement>(`.asl-state[data-id$="/${name}"]`);
const stops = () => [...document.querySelectorAll<HTMLElement>('.asl-state[tabindex="0"]')].map((e) => e.dataset.id);
const view = () => document.querySelector<HTMLElement>(".asl-world")!.style.transform;
const frame = () => document.querySelector<HTMLElement>(".asl-frame")!;
async function show(definition: string, more: Partial<Parameters<typeof AslGraph>[0]> = {}) {
  const draw = (d: string, m = more) => (
    <Localized>
      <AslGraph definition={d} {...m} />
    </Localized>
  );
  const r = render(draw(definition));
  return (d: string, m = more) => act(async () => r.rerender(draw(d, m)));
}
// jsdom knows no pointer events.
const pointer = (type: string, x: number, y: number, pointerId = 1) => fireEvent(frame(), Object.assign(new MouseEvent(type, { bubbles: true, clientX: x, clientY: y, button: 0 }), { pointerId }));
function drag(dx: number, dy: number) {
  frame().setPointerCapture = () => {};
  pointer("pointerdown", 300, 250);
  pointer("pointermove", 300 + dx / 2, 250 + dy / 2);
  pointer("pointermove", 300 + dx, 250 + dy);
  pointer("pointerup", 300 + dx, 250 + dy);
}

describe("a graph", { timeout: 120_000 }, () => {
  it("draws what is in sight, and more of it as it is moved", async () => {
    await show(chain(1000));
    expect(state("S0")).not.toBeNull();
    expect(document.querySelectorAll(".asl-state").length).toBeLessThan(60);
    expect(state("S60")).toBeNull();
    for (let i = 0; i < 6; i++) act(() => drag(0, -400));
    expect(state("S0")).toBeNull();
    expect(state("S60")).not.toBeNull();
  });
  it("has one tab stop; arrow keys follow the edges, beyond what was in sight, and Enter chooses", async () => {
    const onSelect = vi.fn();
    await show(chain(200), { onSelect });
    expect(stops()).toEqual(["/S0"]);
    act(() => state("S0")!.focus());
    for (let i = 1; i <= 40; i++) {
      act(() => void fireEvent.keyDown(document.activeElement!, { key: "ArrowDown" }));
      expect(document.activeElement).toBe(state("S" + i));
    }
    expect(stops()).toEqual(["/S40"]);
    fireEvent.keyDown(document.activeElement!, { key: "Enter" });
    expect(onSelect).toHaveBeenCalledWith("S40");
  });
  it("is left where the user moved it while the text changes, and turns back when nothing would be in sight", async () => {
    const again = await show(chain(300));
    const home = view();
    act(() => drag(0, -900));
    const moved = view();
    expect(moved).not.toBe(home);
    const before = state("S30");
    await again(chain(300, "only a comment"));
    await again(chain(299));
    expect([view(), state("S30")]).toEqual([moved, before]);
    await again("{ not JSON");
    expect(state("S30")).toBe(before);
    await again(chain(2));
    expect(state("S0")).not.toBeNull();
  });
  it("shows what is chosen elsewhere, and chooses what is clicked but not what is dragged", async () => {
    const onSelect = vi.fn();
    const again = await show(chain(300), { onSelect });
    await again(chain(300), { onSelect, selected: "S250" });
    expect(state("S250")!.getAttribute("aria-current")).toBe("true");
    act(() => state("S249")!.click());
    act(() => drag(0, -20));
    act(() => state("S251")!.click());
    expect(onSelect.mock.calls).toEqual([["S249"]]);
    act(() => void pointer("pointerdown", 300, 250));
    act(() => void pointer("pointerup", 300, 250));
    act(() => state("S251")!.click());
    expect(onSelect.mock.calls).toEqual([["S249"], ["S251"]]);
  });
  it("draws so many states as boxes, of which one has a tab stop", async () => {
    await show(side(300));
    act(() => void fireEvent.click(screen.getByRole("button", { name: /Fit/ })));
    expect(document.querySelectorAll(".asl-far").length).toBeGreaterThan(0);
    expect(document.querySelectorAll(".asl-state").length).toBe(1);
    expect(stops().length).toBe(1);
  });
  it("zooms about the pointer with Ctrl and the wheel, and leaves the wheel to the page without", async () => {
    await show(chain(50));
    const home = view();
    fireEvent.wheel(frame(), { deltaY: 100 });
    expect(view()).toBe(home);
    act(() => void fireEvent.wheel(frame(), { deltaY: 100, ctrlKey: true, clientX: 100, clientY: 100 }));
    expect(view()).not.toBe(home);
  });
});
