#include "broker/app/command_line.hpp"

int main(int argc, char** argv) { return fb::app::run_command_line(argc, argv); }
