// Writes the table of named packets as seed corpora: write_seeds DIRECTORY makes DIRECTORY/<fuzz target>/<name>.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "fuzz_input.hpp"
#include "tests/support/packets.hpp"

namespace {

std::string file_name(std::string name) {
    for (char& c : name)
        if (std::string_view(" #+$/,.\n").find(c) != std::string_view::npos) c = '_';
    return name;
}

void write(const std::filesystem::path& folder, const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories(folder);
    std::ofstream(folder / file_name(name), std::ios::binary) << bytes;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: write_seeds DIRECTORY\n", stderr);
        return 2;
    }
    const std::filesystem::path root = argv[1];
    std::string stream;
    for (const auto& p : fb::test::named_packets()) {
        const auto bytes = p.bytes();
        const char choice = fb::fuzz::first_byte_of(p.version, p.from == fb::test::sender::client);
        write(root / "fuzz_frame", p.name, bytes);
        write(root / "fuzz_decode", p.name, choice + bytes);
        if (p.valid()) stream += bytes;

        const auto begin = p.body.find('[');
        if (begin == std::string_view::npos) continue;
        const auto block = fb::test::render(p.body.substr(begin, p.body.find(']') - begin + 1));
        for (char place = 0; place < 11; ++place)
            write(root / "fuzz_properties", p.name + " " + std::to_string(place), place + block);
    }
    write(root / "fuzz_frame", "every valid packet", stream);
    for (const char* lines : {"#\na/b\na/b", "a/+/#\na/b/#\na/b/c", "$share/g/a/#\n+/+\n$SYS/x", "/+/#\n/#\n//"})
        write(root / "fuzz_topic", lines, lines);
    const std::string stored = "$7$1$c2FsdA==$" + std::string(86, 'A') + "==";
    const std::string scram = "SCRAM-SHA-256$1:c2FsdA==$" + std::string(43, 'A') + "=:" + std::string(43, 'A') + "=";
    write(root / "fuzz_password", "file", std::string(1, '\0') + "# users\nann:" + stored + "\nbob:" + scram + "\n");
    write(root / "fuzz_password", "stored", "\1" + stored);
    write(root / "fuzz_password", "scram secret", "\1" + scram);
    write(root / "fuzz_password", "scram", "\2n,,n=user,r=abc\nc=biws,r=abcnonce,p=" + std::string(43, 'A') + "=");
    return 0;
}
