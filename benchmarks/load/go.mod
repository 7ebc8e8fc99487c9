module faasprov/benchmarks/load

go 1.22
