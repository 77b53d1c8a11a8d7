// What is asked before an execution is redriven or stopped.
import type { DescribeExecutionCommandOutput } from "@aws-sdk/client-sfn";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { sfn } from "../../aws/clients";
import Ask from "../../app/Ask";
import { Status, WhyButton } from "../../app/parts";
import type { History } from "../../model/history";
import type { Record_ } from "../../model/inference";
import { redriven } from "../../model/run";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import runTexts from "../../i18n/pages/run";

const mostShown = 12;

type Props = { what: "redrive" | "stop"; x: DescribeExecutionCommandOutput; h: History; refusal?: Record_; onDone: () => void; onDismiss: () => void };

export default function Confirm({ what, x, h, refusal, onDone, onDismiss }: Props) {
  const { t } = useI18n();
  const tr = useTexts(runTexts);
  const { again, kept } = redriven(h);
  const go = async () => {
    const { m, c } = await sfn();
    if (what === "stop") await c.send(new m.StopExecutionCommand({ executionArn: x.executionArn }));
    else await c.send(new m.RedriveExecutionCommand({ executionArn: x.executionArn }));
    onDone();
  };
  return (
    <Ask title={tr(what === "stop" ? "stopTitle" : "redriveTitle")} act={t(what)} onAct={go} onDismiss={onDismiss}>
        {what === "stop" ? (
          <Box>{tr("stopWhat")}</Box>
        ) : (
          <SpaceBetween size="m">
            <Box>{tr(again.length ? "redriveWhat" : "redriveNone")}</Box>
            {again.length > 0 && (
              <ul className="again">
                {again.slice(0, mostShown).map((v) => (
                  <li key={v.id}>
                    <b>{v.name}</b> {v.where && <span className="dim">{v.where}</span>} <Status status={v.status} /> <span className="dim">{v.error}</span>
                  </li>
                ))}
                {again.length > mostShown && <li className="dim">{tr("redriveMore", { n: again.length - mostShown })}</li>}
              </ul>
            )}
            <Box color="text-body-secondary">{tr("redriveKept", { n: kept })}</Box>
            {/AccessDenied/.test(x.error ?? "") && (
              <Alert type="warning" action={refusal && <WhyButton message={refusal.errorMessage ?? ""} requestId={refusal.requestId} />}>
                {tr("redriveDenied")}
              </Alert>
            )}
          </SpaceBetween>
        )}
    </Ask>
  );
}
