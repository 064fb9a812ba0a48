// A CXXRTL model clocked by C++ alone: the same program and memory image as under cocotb, without Python and without
// VPI. What is left is what the model itself costs.
//
//   bare latency=2 seed=1 ... image=FILE@ADDRESS ... result=FILE@ADDRESS words=N write=VALUE@REGISTER ... read=REGISTER
//
// Prints seconds and processor seconds from the last register write to done, then the registers that are to be read.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <cxxrtl/capi/cxxrtl_capi.h>

extern "C" cxxrtl_toplevel cxxrtl_design_create();

namespace {

cxxrtl_handle design;

[[noreturn]] void fail(const std::string &why) {
    std::fprintf(stderr, "bare: %s\n", why.c_str());
    std::exit(1);
}

cxxrtl_object *object(const char *name) {
    cxxrtl_object *found = cxxrtl_get(design, name);
    if (!found) fail(std::string("the model has no ") + name);
    return found;
}

void drive(const char *name, uint32_t value) { object(name)->next[0] = value; }

// FILE@ADDRESS or VALUE@REGISTER
std::pair<std::string, unsigned long> at(const std::string &text) {
    const size_t place = text.rfind('@');
    if (place == std::string::npos) fail(text + " has no @");
    return {text.substr(0, place), std::stoul(text.substr(place + 1))};
}

uint32_t *word(cxxrtl_object *memory, unsigned long address) {
    if (address >= memory->depth) fail("address " + std::to_string(address) + " is beyond the memory");
    return memory->curr + address * ((memory->width + 31) / 32);
}

void load(cxxrtl_object *memory, const std::string &file, unsigned long address) {
    std::ifstream stream(file, std::ios::binary);
    const std::vector<char> bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    const size_t word_bytes = memory->width / 8;
    for (size_t start = 0; start < bytes.size(); start += word_bytes)
        std::copy_n(bytes.begin() + start, word_bytes, reinterpret_cast<char *>(word(memory, address++)));
}

}  // namespace

int main(int argc, char **argv) {
    design = cxxrtl_create(cxxrtl_design_create());
    cxxrtl_object *clk = object("clk"), *done = object("done"), *error = object("error");
    cxxrtl_object *memory = object("memory contents");
    const auto cycle = [&] {
        clk->next[0] = 0;
        cxxrtl_step(design);
        clk->next[0] = 1;
        cxxrtl_step(design);
    };

    std::map<std::string, unsigned long> settings;
    std::vector<std::pair<uint32_t, uint32_t>> writes;
    std::vector<uint32_t> reads;
    std::string result;
    unsigned long result_address = 0;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        const size_t equals = argument.find('=');
        if (equals == std::string::npos) fail(argument + " has no =");
        const std::string name = argument.substr(0, equals), value = argument.substr(equals + 1);
        if (name == "image") {
            const auto [file, address] = at(value);
            load(memory, file, address);
        } else if (name == "result") {
            std::tie(result, result_address) = at(value);
        } else if (name == "write") {
            const auto [written, address] = at(value);
            writes.emplace_back(address, std::stoul(written));
        } else if (name == "read") {
            reads.push_back(std::stoul(value));
        } else {
            settings[name] = std::stoul(value);
        }
    }

    for (const char *name : {"latency", "interval", "stall", "seed"})
        drive((std::string("memory_") + name).c_str(), settings.at(name));
    drive("memory_reseed", 1);
    drive("rst", 1);
    for (int i = 0; i < 3; ++i) cycle();
    drive("rst", 0);
    drive("memory_reseed", 0);
    drive("host_write", 1);
    for (const auto &[address, value] : writes) {
        drive("host_address", address);
        drive("host_write_data", value);
        cycle();
    }
    drive("host_write", 0);

    unsigned long cycles = 0;
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t cpu_start = std::clock();
    while (!done->curr[0] && !error->curr[0] && cycles < settings.at("most_cycles")) {
        cycle();
        ++cycles;
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    const double cpu_seconds = static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
    if (!done->curr[0]) fail("the die is not done");
    cycle();  // counters are complete one cycle after done

    std::ofstream stream(result, std::ios::binary);
    for (unsigned long i = 0; i < settings.at("words"); ++i)
        stream.write(reinterpret_cast<char *>(word(memory, result_address + i)), memory->width / 8);
    std::printf("%.6f %.6f\n", seconds.count(), cpu_seconds);
    for (const uint32_t address : reads) {
        drive("host_address", address);
        drive("host_read", 1);
        cycle();
        drive("host_read", 0);
        cycle();
        std::printf("%u\n", object("host_read_data")->curr[0]);
    }
    cxxrtl_destroy(design);
    return stream ? 0 : 1;
}
