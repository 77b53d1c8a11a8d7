import { act, render, screen } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import later from "../src/app/later";
import { Boundary } from "../src/app/parts";
import { Localized } from "../src/i18n";

const Hello = ({ to }: { to: string }) => <p>Hello {to}</p>;
const patience = { timeout: 60_000 };
const settled = () => act(async () => {});

describe("later", () => {
  it("shows something until the part has come, and asks once", async () => {
    let come = (_: { default: typeof Hello }) => {};
    const load = vi.fn(() => new Promise<{ default: typeof Hello }>((done) => (come = done)));
    const Part = later(load, "wait");
    const { container } = render(<><Part to="a" /><Part to="b" /></>);
    expect(container.textContent).toBe("waitwait");
    come({ default: Hello });
    await settled();
    expect(container.textContent).toBe("Hello aHello b");
    expect(load).toHaveBeenCalledTimes(1);
  });
  it("is there at once where it was fetched before", async () => {
    const Part = later(async () => ({ default: Hello }), "wait");
    await Part.come();
    expect(render(<Part to="you" />).container.textContent).toBe("Hello you");
  });
  it("leaves a part that does not come to the boundary, which may ask again", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const load = vi.fn<() => Promise<{ default: typeof Hello }>>().mockRejectedValueOnce(new Error("offline")).mockResolvedValue({ default: Hello });
    const Part = later(load);
    render(<Localized><Boundary><Part to="again" /></Boundary></Localized>);
    await screen.findByText("offline", {}, patience);
    await act(async () => screen.getByRole("button").click());
    await screen.findByText("Hello again", {}, patience);
  }, 120_000);
});
