import { useState } from "react";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Toggle from "@cloudscape-design/components/toggle";
import { compare } from "../../model/compare";
import type { Record_ } from "../../model/inference";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import texts from "../../i18n/pages/trail";
import "./trail.css";

export default function Compare({ records, onDismiss }: { records: readonly Record_[]; onDismiss: () => void }) {
  const { t, time } = useI18n();
  const say = useTexts(texts);
  const [only, setOnly] = useState(true);
  const rows = compare(records.map((r) => r.json)).filter((r) => !only || r.differs);
  return (
    <Modal visible size="max" header={say("compareTitle", { n: records.length })} onDismiss={onDismiss} closeAriaLabel={t("close")}>
      <SpaceBetween size="s">
        <Toggle checked={only} onChange={(e) => setOnly(e.detail.checked)}>
          {say("onlyDifferent")}
        </Toggle>
        <div className="scroll" tabIndex={0} role="region" aria-label={say("compare")}>
          <table className="side">
            <thead>
              <tr>
                <th scope="col">{say("member")}</th>
                {records.map((r) => (
                  <th scope="col" key={r.id}>
                    {r.name}
                    <br />
                    {time(r.time)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((r) => (
                <tr key={r.path} className={r.differs ? "differs" : ""}>
                  <th scope="row">{r.path}</th>
                  {r.values.map((v, i) => (
                    <td key={i}>{v ?? "–"}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </SpaceBetween>
    </Modal>
  );
}
