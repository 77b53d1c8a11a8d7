import { lazy, Suspense, useCallback, useDeferredValue, useState } from "react";
import Container from "@cloudscape-design/components/container";
import Grid from "@cloudscape-design/components/grid";
import Header from "@cloudscape-design/components/header";
import SegmentedControl from "@cloudscape-design/components/segmented-control";
import Spinner from "@cloudscape-design/components/spinner";
import AslGraph from "../graph/AslGraph";
import type { Dir } from "../graph/layout";
import { sfn } from "../aws/clients";
import { useI18n } from "../i18n";
import type { Finding } from "./AslEditor";

const AslEditor = lazy(() => import("./AslEditor"));

export type WorkbenchProps = { value: string; onChange: (v: string) => void; express?: boolean; readOnly?: boolean; role?: string };

// Workbench is a definition as text and as a graph; what is chosen in the graph is shown in the text.
export default function Workbench({ value, onChange, express = false, readOnly = false }: WorkbenchProps) {
  const { t } = useI18n();
  const [dir, setDir] = useState<Dir>("TB");
  const [selected, select] = useState<string>();
  const shown = useDeferredValue(value);
  const check = useCallback(
    async (definition: string): Promise<Finding[]> => {
      const { m, c } = await sfn();
      const r = await c.send(new m.ValidateStateMachineDefinitionCommand({ definition, type: express ? "EXPRESS" : "STANDARD" }));
      return r.diagnostics ?? [];
    },
    [express],
  );
  return (
    <Grid gridDefinition={[{ colspan: { default: 12, s: 6 } }, { colspan: { default: 12, s: 6 } }]}>
      <Container header={<Header variant="h2">{t("definition")}</Header>}>
        <Suspense fallback={<Spinner />}>
          <AslEditor value={value} onChange={onChange} check={check} selected={selected} height={640} readOnly={readOnly} />
        </Suspense>
      </Container>
      <Container
        header={
          <Header
            variant="h2"
            actions={
              <SegmentedControl
                selectedId={dir}
                onChange={(e) => setDir(e.detail.selectedId as Dir)}
                label={t("layout")}
                options={[
                  { id: "TB", text: t("layoutVertical") },
                  { id: "LR", text: t("layoutHorizontal") },
                ]}
              />
            }
          >
            {t("graph")}
          </Header>
        }
      >
        <AslGraph definition={shown} dir={dir} selected={selected} onSelect={select} height={640} />
      </Container>
    </Grid>
  );
}
