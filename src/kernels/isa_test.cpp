#include "kernels/isa.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "helix/error.h"
#include "kernels/cpu/kernel_table.h"

namespace helix {
namespace {

TEST(Isa, EveryMachineHasTheScalarCode) {
  EXPECT_TRUE(isa_available(Isa::kScalar));
  EXPECT_EQ(available_isas().front(), Isa::kScalar);
}

TEST(Isa, EveryTableIsItsOwn) {
  for (const Isa isa : available_isas()) EXPECT_EQ(kernel_table(isa).isa, isa);
}

TEST(Isa, OverrideReachesTheKernelsAndEnds) {
  const Isa before = active_isa();
  {
    const IsaOverride scalar(Isa::kScalar);
    EXPECT_EQ(active_isa(), Isa::kScalar);
    EXPECT_EQ(active_kernels().isa, Isa::kScalar);
  }
  EXPECT_EQ(active_isa(), before);
}

// The environment is read once per process, so each case is a process of its own. It exits with 0
// where `expected` is in use, with 100 + the code of the error otherwise.
void exit_with_choice(const char* forced, Isa expected) {
  ::setenv("HELIX_FORCE_ISA", forced, 1);
  try {
    std::exit(active_kernels().isa == expected ? 0 : 1);
  } catch (const Error& error) {
    std::fputs(error.what(), stderr);
    std::exit(100 + static_cast<int>(error.code()));
  }
}

// False under an emulator that cannot start programs of its own kind.
bool can_start_itself() {
  const pid_t child = ::fork();
  if (child == 0) {
    std::fclose(stdout);
    ::execl("/proc/self/exe", "self", "--gtest_list_tests", static_cast<char*>(nullptr));
    ::_exit(127);
  }
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

class ForcedIsa : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!can_start_itself()) GTEST_SKIP() << "this process cannot start itself again";
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  }
};

TEST_F(ForcedIsa, EveryOneOfThisMachineTakesEffect) {
  for (const Isa isa : available_isas()) {
    const std::string name(isa_name(isa));
    EXPECT_EXIT(exit_with_choice(name.c_str(), isa), ::testing::ExitedWithCode(0), "") << name;
  }
}

TEST_F(ForcedIsa, UnknownNameIsAnError) {
  EXPECT_EXIT(exit_with_choice("sse9", Isa::kScalar),
              ::testing::ExitedWithCode(100 + static_cast<int>(ErrorCode::kInvalidArgument)),
              "HELIX_FORCE_ISA=sse9: no such instruction set; expected one of scalar");
}

TEST_F(ForcedIsa, OneThatThisMachineLacksIsAnError) {
  for (const Isa isa : {Isa::kNeon, Isa::kAvx2, Isa::kAmx}) {
    if (isa_available(isa)) continue;
    const std::string name(isa_name(isa));
    EXPECT_EXIT(exit_with_choice(name.c_str(), isa),
                ::testing::ExitedWithCode(100 + static_cast<int>(ErrorCode::kUnsupported)),
                "this machine does not have it; it has scalar");
  }
}

}  // namespace
}  // namespace helix
