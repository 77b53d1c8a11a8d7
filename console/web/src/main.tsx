import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "@cloudscape-design/global-styles/index.css";
import { applyMode, Mode } from "@cloudscape-design/global-styles";
import { Localized } from "./i18n";
import App from "./app/App";
import { initialDark } from "./app/prefs";
import "./app/app.css";

export function show() {
  applyMode(initialDark() ? Mode.Dark : Mode.Light);
  createRoot(document.getElementById("root")!).render(
    <StrictMode>
      <Localized>
        <App />
      </Localized>
    </StrictMode>,
  );
}
