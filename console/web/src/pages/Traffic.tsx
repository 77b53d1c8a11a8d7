import { useI18n } from "../i18n";
import { useTexts } from "../i18n/page";
import texts from "../i18n/pages/bedrock";
import type { Flow } from "../model/profile";
import { Meter } from "../app/Regions";

// Traffic says how calls fared from each Region to each that answered.
export default function Traffic({ flows }: { flows: readonly Flow[] }) {
  const { t, number } = useI18n();
  const say = useTexts(texts);
  const total = Math.max(1, flows.reduce((n, r) => n + r.calls, 0));
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={say("traffic")}>
      <table className="shares">
        <thead>
          <tr>
            <th scope="col">{t("sourceRegion")}</th>
            <th scope="col">{t("inferenceRegion")}</th>
            <th scope="col" className="w">{say("share")}</th>
            <th scope="col" className="num">{say("calls")}</th>
            <th scope="col" className="num">{say("errors")}</th>
            <th scope="col" className="num">{say("latency")}</th>
            <th scope="col" className="num">{say("tokens")}</th>
          </tr>
        </thead>
        <tbody>
          {flows.map((r) => (
            <tr key={r.source + " " + r.region}>
              <th scope="row">{r.source}</th>
              <th scope="row">{r.region || t("anyRegion")}</th>
              <Meter percent={Math.round((100 * r.calls) / total)} />
              <td className="num">{number(r.calls)}</td>
              <td className="num">{r.errors > 0 ? <span className="bad-text">{number(r.errors)}</span> : 0}</td>
              <td className="num">{r.latency === undefined ? "–" : say("ms", { n: number(r.latency) })}</td>
              <td className="num">{number(r.tokens)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
