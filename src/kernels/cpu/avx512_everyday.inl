// Half floats and transposition for the AVX-512 files. Included after lanes.inl.

static inline Vec load_half(const std::byte* from) {
  return (Vec)_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

// Four rounds of pairing rows 1, 2, 4 and 8 apart.
static inline void transpose(const float* in, std::size_t in_stride, float* out,
                             std::size_t out_stride) {
  __m512 a[16];
  __m512 b[16];
  for (std::size_t i = 0; i < 16; ++i) a[i] = _mm512_loadu_ps(in + i * in_stride);
  for (std::size_t i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
  }
  for (std::size_t i = 0; i < 16; i += 4) {
    a[i] = _mm512_shuffle_ps(b[i], b[i + 2], 0x44);
    a[i + 1] = _mm512_shuffle_ps(b[i], b[i + 2], 0xee);
    a[i + 2] = _mm512_shuffle_ps(b[i + 1], b[i + 3], 0x44);
    a[i + 3] = _mm512_shuffle_ps(b[i + 1], b[i + 3], 0xee);
  }
  // a[4 * g + c]: rows 4g..4g+3 of column 4 * lane + c.
  for (std::size_t c = 0; c < 4; ++c) {
    b[c] = _mm512_shuffle_f32x4(a[c], a[c + 4], 0x88);           // lanes 0, 2 of groups 0, 1
    b[c + 4] = _mm512_shuffle_f32x4(a[c], a[c + 4], 0xdd);       // lanes 1, 3
    b[c + 8] = _mm512_shuffle_f32x4(a[c + 8], a[c + 12], 0x88);  // the same of groups 2, 3
    b[c + 12] = _mm512_shuffle_f32x4(a[c + 8], a[c + 12], 0xdd);
  }
  for (std::size_t c = 0; c < 4; ++c) {
    _mm512_storeu_ps(out + c * out_stride, _mm512_shuffle_f32x4(b[c], b[c + 8], 0x88));
    _mm512_storeu_ps(out + (c + 8) * out_stride, _mm512_shuffle_f32x4(b[c], b[c + 8], 0xdd));
    _mm512_storeu_ps(out + (c + 4) * out_stride, _mm512_shuffle_f32x4(b[c + 4], b[c + 12], 0x88));
    _mm512_storeu_ps(out + (c + 12) * out_stride, _mm512_shuffle_f32x4(b[c + 4], b[c + 12], 0xdd));
  }
}
