# SPDX-License-Identifier: BSD-3-Clause
# Made by tests/bench/bridge/run: two namespaces joined in several ways.
# It draws itself: gnuplot -e "kind='svg'; drawn='FILE'" bridge-bars.gp
if (!exists("kind")) kind = "svg"
if (!exists("drawn")) drawn = "bridge-bars." . kind
set encoding utf8
if (kind eq "png") {
    set terminal pngcairo enhanced size 1680,1524 font "sans,10" fontscale 1.5 linewidth 1.5 \
        pointscale 1.5 background "#ffffff"
} else {
    set terminal svg enhanced size 1120,1016 font "sans,11" background "#ffffff"
}
set output drawn
set multiplot
set grid linecolor rgb "#E4E4E4" linetype 1 linewidth 1
set border linecolor rgb "#808080"
set tics textcolor rgb "#202020" nomirror
set label 1 "{/:Bold orange}: two vop-bridges    {/:Bold blue}: relays that know no link" \
    at screen 0.5,0.9803 center
set label 2 "{/:Bold pale}: others    {/:Bold grey}: veth pair    The best is on top" \
    at screen 0.5,0.9626 center

set title "TCP, 1 flow, cubic: Gbit/s" offset 0,-0.4
set lmargin at screen 0.1473
set rmargin at screen 0.3304
set tmargin at screen 0.9193
set bmargin at screen 0.7520
$b0_0 << END
0 46.165 "46.2" 11579568
1 37.916 "37.9" 29362
2 32.095 "32.1" 29362
3 30.271 "30.3" 29362
4 30.198 "30.2" 29362
5 29.725 "29.7" 13983232
6 29.339 "29.3" 13983232
7 1.5772 "1.58" 7057110
8 1.0974 "1.1" 7057110
9 0.39054 "0.391" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:57.71]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("io\\_uring relay" 1)
set ytics add ("epoll relay" 2)
set ytics add ("epoll relay, 2 queues" 3)
set ytics add ("pair of relays" 4)
set ytics add ("vop-bridge, 1 queue" 5)
set ytics add ("vop-bridge" 6)
set ytics add ("vde" 7)
set ytics add ("socat" 8)
set ytics add ("pasta" 9)
set ytics scale 0
plot $b0_0 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b0_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "TCP, 1 flow, bbr: Gbit/s" offset 0,-0.4
set lmargin at screen 0.4777
set rmargin at screen 0.6607
set tmargin at screen 0.9193
set bmargin at screen 0.7520
$b0_1 << END
0 21.812 "21.8" 11579568
1 17.681 "17.7" 29362
2 16.304 "16.3" 29362
3 15.986 "16" 29362
4 14.731 "14.7" 29362
5 14.542 "14.5" 13983232
6 13.949 "13.9" 13983232
7 3.2929 "3.29" 7057110
8 1.1411 "1.14" 7057110
9 1.0735 "1.07" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:27.27]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("io\\_uring relay" 1)
set ytics add ("epoll relay" 2)
set ytics add ("epoll relay, 2 queues" 3)
set ytics add ("pair of relays" 4)
set ytics add ("vop-bridge, 1 queue" 5)
set ytics add ("vop-bridge" 6)
set ytics add ("pasta" 7)
set ytics add ("vde" 8)
set ytics add ("socat" 9)
set ytics scale 0
plot $b0_1 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b0_1 using 2:1:3 with labels left offset 0.4,0
unset label

set title "TCP, 4 flows, cubic: Gbit/s" offset 0,-0.4
set lmargin at screen 0.8080
set rmargin at screen 0.9911
set tmargin at screen 0.9193
set bmargin at screen 0.7520
$b0_2 << END
0 63.475 "63.5" 11579568
1 34.198 "34.2" 29362
2 30.504 "30.5" 29362
3 28.504 "28.5" 29362
4 27.209 "27.2" 29362
5 26.924 "26.9" 13983232
6 22.56 "22.6" 13983232
7 1.5327 "1.53" 7057110
8 1.0311 "1.03" 7057110
9 0.15788 "0.158" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:79.34]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("io\\_uring relay" 1)
set ytics add ("pair of relays" 2)
set ytics add ("epoll relay, 2 queues" 3)
set ytics add ("epoll relay" 4)
set ytics add ("vop-bridge, 1 queue" 5)
set ytics add ("vop-bridge" 6)
set ytics add ("vde" 7)
set ytics add ("socat" 8)
set ytics add ("pasta" 9)
set ytics scale 0
plot $b0_2 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b0_2 using 2:1:3 with labels left offset 0.4,0
unset label

set title "TCP, 4 flows, bbr: Gbit/s" offset 0,-0.4
set lmargin at screen 0.1473
set rmargin at screen 0.3304
set tmargin at screen 0.7028
set bmargin at screen 0.5354
$b1_0 << END
0 56.801 "56.8" 11579568
1 26.547 "26.5" 29362
2 24.196 "24.2" 29362
3 23.615 "23.6" 29362
4 22.263 "22.3" 29362
5 20.879 "20.9" 13983232
6 20.109 "20.1" 13983232
7 1.0471 "1.05" 7057110
8 1.0048 "1" 7057110
9 0.16014 "0.16" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:71]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("io\\_uring relay" 1)
set ytics add ("epoll relay, 2 queues" 2)
set ytics add ("epoll relay" 3)
set ytics add ("pair of relays" 4)
set ytics add ("vop-bridge" 5)
set ytics add ("vop-bridge, 1 queue" 6)
set ytics add ("socat" 7)
set ytics add ("vde" 8)
set ytics add ("pasta" 9)
set ytics scale 0
plot $b1_0 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b1_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "UDP, 64 B: thousand/s" offset 0,-0.4
set lmargin at screen 0.4777
set rmargin at screen 0.6607
set tmargin at screen 0.7028
set bmargin at screen 0.5354
$b1_1 << END
0 450.99 "451" 13983232
1 358.05 "358" 29362
2 339.28 "339" 13983232
3 276.12 "276" 11579568
4 262.29 "262" 29362
5 259.41 "259" 29362
6 214.62 "215" 29362
7 190.59 "191" 7057110
8 118.1 "118" 7057110
9 85.529 "85.5" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:563.7]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("vop-bridge, 1 queue" 0)
set ytics add ("io\\_uring relay" 1)
set ytics add ("vop-bridge" 2)
set ytics add ("veth pair" 3)
set ytics add ("epoll relay" 4)
set ytics add ("pair of relays" 5)
set ytics add ("epoll relay, 2 queues" 6)
set ytics add ("pasta" 7)
set ytics add ("socat" 8)
set ytics add ("vde" 9)
set ytics scale 0
plot $b1_1 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b1_1 using 2:1:3 with labels left offset 0.4,0
unset label

set title "UDP, 1400 B: thousand/s" offset 0,-0.4
set lmargin at screen 0.8080
set rmargin at screen 0.9911
set tmargin at screen 0.7028
set bmargin at screen 0.5354
$b1_2 << END
0 401.01 "401" 13983232
1 382.3 "382" 13983232
2 337.96 "338" 29362
3 290.26 "290" 29362
4 281.96 "282" 11579568
5 238.82 "239" 29362
6 205.67 "206" 29362
7 167.22 "167" 7057110
8 116.68 "117" 7057110
9 46.5 "46.5" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:501.3]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("vop-bridge, 1 queue" 0)
set ytics add ("vop-bridge" 1)
set ytics add ("io\\_uring relay" 2)
set ytics add ("pair of relays" 3)
set ytics add ("veth pair" 4)
set ytics add ("epoll relay" 5)
set ytics add ("epoll relay, 2 queues" 6)
set ytics add ("pasta" 7)
set ytics add ("socat" 8)
set ytics add ("vde" 9)
set ytics scale 0
plot $b1_2 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b1_2 using 2:1:3 with labels left offset 0.4,0
unset label

set title "UDP, 1400 B, sent with GSO: thousand/s" offset 0,-0.4
set lmargin at screen 0.1473
set rmargin at screen 0.3304
set tmargin at screen 0.4862
set bmargin at screen 0.3189
$b2_0 << END
0 1377.4 "1377" 11579568
1 808.15 "808" 13983232
2 783.52 "784" 29362
3 740.49 "740" 13983232
4 713.05 "713" 29362
5 695.46 "695" 29362
6 641.05 "641" 29362
7 156.59 "157" 7057110
8 109.24 "109" 7057110
9 53.412 "53.4" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:1722]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("vop-bridge" 1)
set ytics add ("pair of relays" 2)
set ytics add ("vop-bridge, 1 queue" 3)
set ytics add ("epoll relay" 4)
set ytics add ("io\\_uring relay" 5)
set ytics add ("epoll relay, 2 queues" 6)
set ytics add ("pasta" 7)
set ytics add ("socat" 8)
set ytics add ("vde" 9)
set ytics scale 0
plot $b2_0 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b2_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "UDP, 64 B, 50,000/s: % lost" offset 0,-0.4
set lmargin at screen 0.4777
set rmargin at screen 0.6607
set tmargin at screen 0.4862
set bmargin at screen 0.3189
$b2_1 << END
0 0 "0" 11579568
1 0 "0" 13983232
2 0 "0" 13983232
3 0 "0" 29362
4 0 "0" 29362
5 0 "0" 29362
6 0 "0" 29362
7 0 "0" 7057110
8 0 "0" 7057110
9 0 "0" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:1]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("vop-bridge" 1)
set ytics add ("vop-bridge, 1 queue" 2)
set ytics add ("epoll relay" 3)
set ytics add ("epoll relay, 2 queues" 4)
set ytics add ("io\\_uring relay" 5)
set ytics add ("pair of relays" 6)
set ytics add ("socat" 7)
set ytics add ("vde" 8)
set ytics add ("pasta" 9)
set ytics scale 0
plot $b2_1 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b2_1 using 2:1:3 with labels left offset 0.4,0
unset label

set title "UDP, 1400 B, 50,000/s: % lost" offset 0,-0.4
set lmargin at screen 0.8080
set rmargin at screen 0.9911
set tmargin at screen 0.4862
set bmargin at screen 0.3189
$b2_2 << END
0 0 "0" 11579568
1 0 "0" 13983232
2 0 "0" 13983232
3 0 "0" 29362
4 0 "0" 29362
5 0 "0" 29362
6 0 "0" 29362
7 0 "0" 7057110
8 0 "0" 7057110
9 0.096 "0.096" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:0.12]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("vop-bridge" 1)
set ytics add ("vop-bridge, 1 queue" 2)
set ytics add ("epoll relay" 3)
set ytics add ("epoll relay, 2 queues" 4)
set ytics add ("io\\_uring relay" 5)
set ytics add ("pair of relays" 6)
set ytics add ("socat" 7)
set ytics add ("pasta" 8)
set ytics add ("vde" 9)
set ytics scale 0
plot $b2_2 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b2_2 using 2:1:3 with labels left offset 0.4,0
unset label

set title "request/response, 64 B: us, p50" offset 0,-0.4
set lmargin at screen 0.1473
set rmargin at screen 0.3304
set tmargin at screen 0.2697
set bmargin at screen 0.1024
$b3_0 << END
0 20.922 "20.9" 13983232
1 22.534 "22.5" 13983232
2 57.206 "57.2" 11579568
3 65.933 "65.9" 29362
4 66.089 "66.1" 29362
5 67.422 "67.4" 29362
6 69.094 "69.1" 7057110
7 70.756 "70.8" 7057110
8 77.921 "77.9" 29362
9 82.574 "82.6" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:103.2]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("vop-bridge, 1 queue" 0)
set ytics add ("vop-bridge" 1)
set ytics add ("veth pair" 2)
set ytics add ("epoll relay" 3)
set ytics add ("io\\_uring relay" 4)
set ytics add ("epoll relay, 2 queues" 5)
set ytics add ("socat" 6)
set ytics add ("pasta" 7)
set ytics add ("pair of relays" 8)
set ytics add ("vde" 9)
set ytics scale 0
plot $b3_0 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b3_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "ping under one TCP flow: ms, p95" offset 0,-0.4
set lmargin at screen 0.4777
set rmargin at screen 0.6607
set tmargin at screen 0.2697
set bmargin at screen 0.1191
$b3_1 << END
0 0.034 "0.034" 11579568
1 0.174 "0.174" 29362
2 0.341 "0.341" 29362
3 0.37 "0.37" 13983232
4 0.431 "0.431" 29362
5 0.569 "0.569" 13983232
6 0.723 "0.723" 29362
7 1.44 "1.44" 7057110
8 8.94 "8.94" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:11.17]
set yrange [8.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("epoll relay, 2 queues" 1)
set ytics add ("io\\_uring relay" 2)
set ytics add ("vop-bridge" 3)
set ytics add ("epoll relay" 4)
set ytics add ("vop-bridge, 1 queue" 5)
set ytics add ("pair of relays" 6)
set ytics add ("vde" 7)
set ytics add ("socat" 8)
set ytics scale 0
plot $b3_1 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b3_1 using 2:1:3 with labels left offset 0.4,0
unset label

set title "TCP through VXLAN: Gbit/s" offset 0,-0.4
set lmargin at screen 0.8080
set rmargin at screen 0.9911
set tmargin at screen 0.2697
set bmargin at screen 0.1191
$b3_2 << END
0 25.113 "25.1" 11579568
1 19.992 "20" 13983232
2 19.053 "19.1" 13983232
3 2.5667 "2.57" 29362
4 1.8855 "1.89" 29362
5 1.3776 "1.38" 29362
6 1.3043 "1.3" 29362
7 1.1583 "1.16" 7057110
8 0.75049 "0.75" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:31.39]
set yrange [8.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("vop-bridge, 1 queue" 1)
set ytics add ("vop-bridge" 2)
set ytics add ("pair of relays" 3)
set ytics add ("epoll relay, 2 queues" 4)
set ytics add ("epoll relay" 5)
set ytics add ("io\\_uring relay" 6)
set ytics add ("vde" 7)
set ytics add ("socat" 8)
set ytics scale 0
plot $b3_2 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b3_2 using 2:1:3 with labels left offset 0.4,0
unset label

set title "TCP while it is captured: of that without" offset 0,-0.4
set lmargin at screen 0.1473
set rmargin at screen 0.3304
set tmargin at screen 0.0531
set bmargin at screen 0.0197
$b4_0 << END
0 0.93601 "0.936" 13983232
1 0.7892 "0.789" 13983232
END
unset key
unset grid
unset xtics
set xrange [0:1.17]
set yrange [1.6:-0.6]
set border 2
set ytics ()
set ytics add ("vop-bridge" 0)
set ytics add ("vop-bridge, 1 queue" 1)
set ytics scale 0
plot $b4_0 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b4_0 using 2:1:3 with labels left offset 0.4,0
unset label
unset multiplot
unset output
