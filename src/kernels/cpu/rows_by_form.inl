// The task's rows by the lookup that the table's form asks for. Needs Shapes<form> and
// fixed_rows_by<lookup>; Plain is the lookup of any table.
template <typename Plain>
static void fixed_rows(const RowTask<FixedInput>& task, std::size_t begin,
                       std::size_t end) noexcept {
  const TableForm form = task.table.form;
  const auto rows_by =
      form == TableForm::kShifts          ? fixed_rows_by<Shapes<TableForm::kShifts>>
      : form == TableForm::kShapes        ? fixed_rows_by<Shapes<TableForm::kShapes>>
      : form == TableForm::kShapesAndEnds ? fixed_rows_by<Shapes<TableForm::kShapesAndEnds>>
                                          : fixed_rows_by<Plain>;
  rows_by(task, begin, end);
}
