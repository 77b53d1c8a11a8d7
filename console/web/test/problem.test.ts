import { expect, it } from "vitest";
import { hintOf } from "../src/app/parts";

it("errors say what can be done about them", () => {
  const e = (name: string, message = "", more = {}) => Object.assign(new Error(message), { name }, more);
  expect(hintOf(e("TypeError", "Failed to fetch"))).toBe("hintNoAnswer");
  expect(hintOf(e("TypeError", "NetworkError when attempting to fetch resource."))).toBe("hintNoAnswer");
  expect(hintOf(e("TypeError", "x is undefined"))).toBeUndefined();
  expect(hintOf(e("ThrottlingException"))).toBe("hintThrottled");
  expect(hintOf(e("StateMachineDoesNotExist"))).toBe("hintGone");
  expect(hintOf(e("NoSuchEntityException"))).toBe("hintGone");
  expect(hintOf(e("ValidationException"))).toBe("hintInvalid");
  expect(hintOf(e("InternalServerException", "", { $fault: "server" }))).toBe("hintServer");
  expect(hintOf(e("AccessDeniedException", "", { $fault: "client", $metadata: { httpStatusCode: 403 } }))).toBeUndefined();
});
