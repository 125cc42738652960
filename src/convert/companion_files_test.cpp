#include "convert/companion_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "base/testing/expect_error.h"
#include "base/testing/temporary_folder.h"

namespace helix {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

class CompanionFiles : public ::testing::Test {
 protected:
  void add(const std::string& name) {
    fs::create_directories((source / name).parent_path());
    write_file_atomically(source / name, "content of " + name);
  }
  std::vector<std::string> copy(bool copy_code = false) {
    Hooks hooks;
    hooks.log = [this](LogLevel, std::string_view message) { warning = message; };
    const auto names = list_companion_files(source, weights, copy_code, hooks);
    copy_companion_files(source, names, destination, hooks);
    return names;
  }

  const TemporaryFolder folder;
  const fs::path source = folder / "source";
  const fs::path destination = folder / "destination";
  std::vector<SafetensorsFile> weights;  // the model's
  std::string warning;
};

using Names = std::vector<std::string>;

TEST_F(CompanionFiles, AllButWeightsConfigAndReceipt) {
  for (const char* name :
       {"tokenizer.json", "LICENSE", "chat_template.jinja", "config.json", "hxq_receipt.json",
        "model.safetensors.index.json", "1_Pooling/config.json", ".gitattributes", ".git/HEAD"}) {
    add(name);
  }
  write_file_atomically(source / "a.safetensors", make_safetensors_header({}, {}));
  weights.emplace_back(source / "a.safetensors");
  EXPECT_EQ(copy(),
            (Names{"1_Pooling/config.json", "LICENSE", "chat_template.jinja", "tokenizer.json"}));
  EXPECT_EQ(read_file(destination / "1_Pooling/config.json"), "content of 1_Pooling/config.json");
  EXPECT_EQ(warning, "");
}

TEST_F(CompanionFiles, OtherWeightsAndCodeAreNamed) {
  const Names others = {"pytorch_model.bin", "model.gguf", "onnx/model.onnx", "modeling.py",
                        "model-00001-of-00002.safetensors"};
  for (const std::string& name : others) add(name);
  EXPECT_EQ(copy(), Names{});
  for (const std::string& name : others)
    EXPECT_NE(warning.find(name), std::string::npos) << warning;
  EXPECT_EQ(copy(true), Names{"modeling.py"});
}

TEST_F(CompanionFiles, AModuleOfItsOwnKeepsItsWeights) {
  for (const char* name :
       {"2_Dense/config.json", "2_Dense/model.safetensors", "3_Dense/config.json",
        "3_Dense/pytorch_model.bin", "original/model.safetensors", "2_Dense/other.safetensors"}) {
    add(name);
  }
  EXPECT_EQ(copy(), (Names{"2_Dense/config.json", "2_Dense/model.safetensors",
                           "3_Dense/config.json", "3_Dense/pytorch_model.bin"}));
}

TEST_F(CompanionFiles, LinksToFilesAreCopiedLinksToFoldersAreNot) {
  add("blob");
  fs::create_symlink("blob", source / "tokenizer.json");
  fs::create_symlink("nowhere", source / "broken.json");
  fs::create_directory_symlink(source, source / "loop");
  EXPECT_EQ(copy(), (Names{"blob", "tokenizer.json"}));
  EXPECT_FALSE(fs::is_symlink(destination / "tokenizer.json"));
  EXPECT_NE(warning.find("broken.json, loop"), std::string::npos) << warning;
}

// Before there is any work to lose.
TEST_F(CompanionFiles, WhatCannotBeReadIsNamed) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
  for (const char* name : {"sub/tokenizer.json", "sub"}) {
    add("sub/tokenizer.json");
    fs::permissions(source / name, fs::perms::none);
    testing::expect_error(ErrorCode::kIoError, (source / name).string() + ": Permission denied",
                          [&] { copy(); });
    fs::permissions(source / name, fs::perms::owner_all);
  }
}

TEST_F(CompanionFiles, Stops) {
  add("tokenizer.json");
  CancelToken token;
  token.cancel();
  Hooks hooks;
  hooks.cancel = &token;
  testing::expect_error(ErrorCode::kCancelled, "", [&] {
    copy_companion_files(source, {"tokenizer.json"}, destination, hooks);
  });
}

}  // namespace
}  // namespace helix
