import { afterEach, describe, expect, it, vi } from "vitest";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import Rows from "../src/app/rows";

afterEach(cleanup);
const items = Array.from({ length: 25_000 }, (_, id) => ({ id, name: `event ${id}` }));
const columns = [
  { id: "id", header: "ID", width: 60, cell: (x: (typeof items)[number]) => x.id },
  { id: "name", header: "Name", width: 200, grow: 1, cell: (x: (typeof items)[number]) => x.name },
];

describe("a table of what is in sight", () => {
  it("draws few rows and says how many there are", () => {
    render(<Rows label="events" items={items} columns={columns} trackBy={(x) => x.id} />);
    const grid = screen.getByRole("grid", { name: "events" });
    expect(grid.getAttribute("aria-rowcount")).toBe("25001");
    const rows = screen.getAllByRole("row");
    expect(rows.length).toBeLessThan(40);
    expect(rows[1]!.getAttribute("aria-rowindex")).toBe("2");
    expect(rows.filter((r) => r.tabIndex === 0).length).toBe(1);
  });
  it("is walked with keys, and chosen from", () => {
    const onSelect = vi.fn();
    render(<Rows label="events" items={items} columns={columns} trackBy={(x) => x.id} onSelect={onSelect} selected={2} />);
    const grid = screen.getByRole("grid");
    fireEvent.keyDown(grid, { key: "Enter" });
    expect(onSelect).toHaveBeenLastCalledWith(items[2]); // where the chosen one is
    fireEvent.keyDown(grid, { key: "ArrowDown" });
    fireEvent.keyDown(grid, { key: "Enter" });
    expect(onSelect).toHaveBeenLastCalledWith(items[3]);
    fireEvent.keyDown(grid, { key: "End" });
    fireEvent.keyDown(grid, { key: " " });
    expect(onSelect).toHaveBeenLastCalledWith(items.at(-1));
    fireEvent.keyDown(grid, { key: "Home" });
    fireEvent.keyDown(grid, { key: "ArrowUp" });
    fireEvent.keyDown(grid, { key: "Enter" });
    expect(onSelect).toHaveBeenLastCalledWith(items[0]);
  });
  it("says so when there is nothing", () => {
    render(<Rows label="events" items={[]} columns={columns} trackBy={(x) => x.id} empty="nothing here" />);
    expect(screen.getByText("nothing here")).toBeDefined();
  });
});
