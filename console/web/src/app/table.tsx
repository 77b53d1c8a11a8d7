import type { ReactNode } from "react";
import { useCollection } from "@cloudscape-design/collection-hooks";
import Button from "@cloudscape-design/components/button";
import Pagination from "@cloudscape-design/components/pagination";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useI18n, type Key } from "../i18n";
import { useTyped } from "./address";
import { Empty } from "./parts";
import Preferences, { useView } from "./Preferences";

// Narrower columns are no longer read, but spelled: on a phone a table is moved sideways instead.
const narrowest = 110;

export type ListProps<T> = {
  name: string; // under which it is remembered how it is shown
  items: readonly T[];
  columns: TableProps.ColumnDefinition<T>[];
  header: ReactNode;
  find: Key | { text: string }; // what the search field says
  empty: ReactNode;
  trackBy: (t: T) => string;
  label: string;
  loading?: boolean;
  pageSize?: number;
  sort?: { id: string; descending?: boolean };
  selected?: T[];
  onSelect?: (t: T) => void;
  filter?: ReactNode; // instead of the text filter
  besides?: ReactNode; // fields under the text filter
  variant?: TableProps.Variant;
  text?: (t: T) => string; // what the filter looks into; all fields otherwise
};

// List is a table that can be searched, sorted and paged through. What is searched for is in the
// address (?q=…); which columns, how many rows and how they are sorted is remembered.
export default function List<T>(p: ListProps<T>) {
  const { t } = useI18n();
  const find = typeof p.find === "string" ? t(p.find) : p.find.text;
  const [view, setView] = useView(p.name, { pageSize: p.pageSize, sort: p.sort && { descending: false, ...p.sort } });
  const [sought, seek] = useTyped("q");
  const sorted = view.sort && p.columns.find((c) => c.id === view.sort!.id);
  const { items, actions, collectionProps, filterProps, paginationProps, filteredItemsCount } = useCollection(p.items, {
    filtering: {
      defaultFilteringText: sought,
      empty: p.empty,
      noMatch: (
        <Empty title={t("noMatches")}>
          <Button
            onClick={() => {
              actions.setFiltering("");
              seek("");
            }}
          >
            {t("clearFilter")}
          </Button>
        </Empty>
      ),
      filteringFunction: p.text && ((item, text) => p.text!(item).toLowerCase().includes(text.toLowerCase())),
    },
    sorting: sorted ? { defaultState: { sortingColumn: sorted as never, isDescending: view.sort!.descending } } : {},
    pagination: { pageSize: view.pageSize },
  });
  return (
    <Table
      {...collectionProps}
      onSortingChange={(e) => {
        collectionProps.onSortingChange?.(e);
        const { id } = e.detail.sortingColumn as TableProps.ColumnDefinition<T>;
        if (id) setView({ sort: { id, descending: e.detail.isDescending === true } });
      }}
      items={items}
      columnDefinitions={p.columns.map((c) => ({ minWidth: narrowest, ...c }))}
      visibleColumns={p.columns.map((c) => c.id!).filter((id) => !view.hidden.includes(id))}
      header={p.header}
      trackBy={p.trackBy}
      variant={p.variant}
      loading={p.loading && p.items.length === 0}
      loadingText={t("loading")}
      selectionType={p.onSelect ? "single" : undefined}
      selectedItems={p.selected}
      onSelectionChange={(e) => e.detail.selectedItems[0] && p.onSelect?.(e.detail.selectedItems[0])}
      onRowClick={(e) => p.onSelect?.(e.detail.item)}
      ariaLabels={{ tableLabel: p.label, selectionGroupLabel: p.label, itemSelectionLabel: (_, item) => p.trackBy(item) }}
      enableKeyboardNavigation
      filter={
        p.filter ?? (
          <>
            <TextFilter
              {...filterProps}
              onChange={(e) => {
                filterProps.onChange(e);
                seek(e.detail.filteringText);
              }}
              filteringPlaceholder={find} filteringAriaLabel={find}
              countText={t("matchesN", { n: filteredItemsCount ?? 0 })}
            />
            {p.besides && <div className="fields besides">{p.besides}</div>}
          </>
        )
      }
      pagination={<Pagination {...paginationProps} />}
      preferences={<Preferences columns={p.columns} view={view} onChange={setView} />}
      wrapLines={view.wrap}
    />
  );
}
