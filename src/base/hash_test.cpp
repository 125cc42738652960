#include "base/hash.h"

#include <gtest/gtest.h>

#include <string>

namespace helix {
namespace {

std::string sha256(const std::string& text) {
  Sha256 hash;
  hash.add(std::as_bytes(std::span(text)));
  return hash.finish();
}

// The examples that NIST publishes for FIPS 180-4.
TEST(Sha256, gives_the_published_digests) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, does_not_care_how_the_bytes_are_cut) {
  Sha256 hash;
  for (const char* part : {"a", "", "bc"}) {
    hash.add(std::as_bytes(std::span(part, std::char_traits<char>::length(part))));
  }
  EXPECT_EQ(hash.finish(), sha256("abc"));
}

// XXH3_64bits of nothing is part of xxHash's own sanity test.
TEST(FastHash, is_xxh3) { EXPECT_EQ(fast_hash({}), 0x2d06800538d394c2U); }

TEST(FastHash, sees_one_flipped_bit) {
  std::string text(1000, 'x');
  const auto before = fast_hash(std::as_bytes(std::span(text)));
  text[567] = 'y';
  EXPECT_NE(fast_hash(std::as_bytes(std::span(text))), before);
}

}  // namespace
}  // namespace helix
