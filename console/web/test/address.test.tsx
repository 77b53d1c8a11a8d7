import { afterEach, expect, it } from "vitest";
import { act, renderHook } from "@testing-library/react";
import { put, useParam } from "../src/app/address";
import { recall, remember } from "../src/app/prefs";
import { useView } from "../src/app/Preferences";

afterEach(() => {
  localStorage.clear();
  history.replaceState(null, "", "/");
});

it("what is chosen is in the address, and only where it differs", () => {
  const { result } = renderHook(() => useParam("status"));
  act(() => result.current[1]("FAILED"));
  expect(location.search).toBe("?status=FAILED");
  expect(result.current[0]).toBe("FAILED");
  act(() => result.current[1](""));
  expect(location.search).toBe("");
});

it("two choices made at once are both kept", () => {
  const { result } = renderHook(() => [useParam("a"), useParam("b")] as const);
  act(() => {
    result.current[0][1]("1");
    result.current[1][1]("2");
  });
  expect(location.search).toBe("?a=1&b=2");
});

it("what was chosen before stands in where the address is silent", () => {
  remember("events", { range: "1h" });
  const { result } = renderHook(() => useParam("range", "24h", "events"));
  expect(result.current[0]).toBe("1h");
  act(() => result.current[1]("24h"));
  expect(recall("events")).toEqual({ range: "24h" });
});

it("a table's view is remembered, and nonsense is not taken", () => {
  const first = renderHook(() => useView("models"));
  act(() => first.result.current[1]({ hidden: ["id"], pageSize: 50 }));
  expect(renderHook(() => useView("models")).result.current[0]).toMatchObject({ hidden: ["id"], pageSize: 50, wrap: true });
  localStorage.setItem("tokaido.view.models", '{"hidden": 3, "pageSize": 7, "sort": {"id": 1}}');
  expect(renderHook(() => useView("models")).result.current[0]).toEqual({ hidden: [], pageSize: 25, wrap: true, sort: undefined });
  localStorage.setItem("tokaido.view.models", "nonsense");
  expect(renderHook(() => useView("models")).result.current[0].pageSize).toBe(25);
});

it("put leaves the rest", () => {
  history.replaceState(null, "", "/?tab=x&q=1");
  expect(String(put((p) => p.set("q", "2")))).toBe("tab=x&q=2");
});
