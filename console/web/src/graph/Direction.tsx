import SegmentedControl from "@cloudscape-design/components/segmented-control";
import { useState } from "react";
import { recall, remember } from "../app/prefs";
import { useI18n } from "../i18n";
import type { Dir } from "./layout";

// Direction chooses which way a graph flows.
export default function Direction({ dir, onChange }: { dir: Dir; onChange: (d: Dir) => void }) {
  const { t } = useI18n();
  return (
    <SegmentedControl
      selectedId={dir}
      onChange={(e) => onChange(e.detail.selectedId as Dir)}
      label={t("layout")}
      options={[
        { id: "TB", text: t("layoutVertical") },
        { id: "LR", text: t("layoutHorizontal") },
      ]}
    />
  );
}

// useDirection is the way in which one likes graphs to flow.
export function useDirection(): [Dir, (d: Dir) => void] {
  const [dir, set] = useState<Dir>(() => (recall("graph").dir === "LR" ? "LR" : "TB"));
  return [
    dir,
    (d) => {
      remember("graph", { dir: d });
      set(d);
    },
  ];
}
