// The entries of KernelTable that every instruction set has. Included last.

static KernelTable everyday_table(Isa isa) {
  KernelTable table = {};
  table.isa = isa;
  table.panel_rows = kPanelRows;
  table.f32_rows = f32_rows;
  table.f32_panel = f32_panel;
  table.f32_multiply = f32_multiply;
  table.lookup_u8 = lookup_u8;
  table.lookup_u16 = lookup_u16;
  table.row_batch = kMaxRowBatch;
  table.row_group = kRowGroup;
  table.panel_group = kPanelGroup;
  table.quantize = quantize;
  table.rms_norm = rms_norm;
  table.softmax = softmax;
  table.silu_multiply = silu_multiply;
  table.add = add;
  table.rope = rope;
  table.log_sum_exp = log_sum_exp;
  table.divergence = divergence;
  table.attention = attention;
  return table;
}
