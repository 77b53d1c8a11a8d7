module tokaido/bench

go 1.26.0

require tokaido v0.0.0

replace tokaido => ../
