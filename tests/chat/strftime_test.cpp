#include <gtest/gtest.h>

#include "chat/jinja/strftime.hpp"

namespace nibble::jinja {
namespace {

struct Sample {
  int year, month, day, hour, minute, second;
  const char* expected;
};

/// What Python's datetime.strftime makes of every directive on Linux.
TEST(FormatTime, EqualsPython) {
  const char* format =
      "%a|%A|%b|%B|%d|%e|%-d|%j|%U|%W|%V|%G|%g|%u|%w|%y|%Y|%C|%H|%I|%-I|%l|%k|%p|%P|%M|%S|%D|%F|%T|%R|%r|%c|%x|%X|%_d|%05d|%^a|%#p|%10Y|%n%"
      "t%%|%Q|%z|%Z|%f|%h|%-m|%3e";
  const Sample samples[] = {
      {2026, 3, 5, 14, 7, 9,
       "Thu|Thursday|Mar|March|05| 5|5|064|09|09|10|2026|26|4|4|26|2026|20|14|02|2| "
       "2|14|PM|pm|07|09|03/05/26|2026-03-05|14:07:09|14:07|02:07:09 PM|Thu Mar  5 14:07:09 2026|03/05/26|14:07:09| "
       "5|00005|THU|pm|0000002026|\n\t%|%Q|||000000|Mar|3|  5"},
      {2024, 12, 30, 0, 0, 0,
       "Mon|Monday|Dec|December|30|30|30|365|52|53|01|2025|25|1|1|24|2024|20|00|12|12|12| "
       "0|AM|am|00|00|12/30/24|2024-12-30|00:00:00|00:00|12:00:00 AM|Mon Dec 30 00:00:00 "
       "2024|12/30/24|00:00:00|30|00030|MON|am|0000002024|\n\t%|%Q|||000000|Dec|12| 30"},
      {2021, 1, 3, 12, 59, 59,
       "Sun|Sunday|Jan|January|03| "
       "3|3|003|01|00|53|2020|20|7|0|21|2021|20|12|12|12|12|12|PM|pm|59|59|01/03/21|2021-01-03|12:59:59|12:59|12:59:59 PM|Sun Jan  3 "
       "12:59:59 2021|01/03/21|12:59:59| 3|00003|SUN|pm|0000002021|\n\t%|%Q|||000000|Jan|1|  3"},
      {2020, 2, 29, 23, 5, 1,
       "Sat|Saturday|Feb|February|29|29|29|060|08|08|09|2020|20|6|6|20|2020|20|23|11|11|11|23|PM|pm|05|01|02/29/"
       "20|2020-02-29|23:05:01|23:05|11:05:01 PM|Sat Feb 29 23:05:01 "
       "2020|02/29/20|23:05:01|29|00029|SAT|pm|0000002020|\n\t%|%Q|||000000|Feb|2| 29"},
      {2027, 1, 1, 1, 2, 3,
       "Fri|Friday|Jan|January|01| 1|1|001|00|00|53|2026|26|5|5|27|2027|20|01|01|1| 1| "
       "1|AM|am|02|03|01/01/27|2027-01-01|01:02:03|01:02|01:02:03 AM|Fri Jan  1 01:02:03 2027|01/01/27|01:02:03| "
       "1|00001|FRI|am|0000002027|\n\t%|%Q|||000000|Jan|1|  1"},
      {1999, 12, 31, 11, 11, 11,
       "Fri|Friday|Dec|December|31|31|31|365|52|52|52|1999|99|5|5|99|1999|19|11|11|11|11|11|AM|am|11|11|12/31/"
       "99|1999-12-31|11:11:11|11:11|11:11:11 AM|Fri Dec 31 11:11:11 "
       "1999|12/31/99|11:11:11|31|00031|FRI|am|0000001999|\n\t%|%Q|||000000|Dec|12| 31"},
  };
  for (const Sample& sample : samples) {
    std::tm time{};
    time.tm_year = sample.year - 1900;
    time.tm_mon = sample.month - 1;
    time.tm_mday = sample.day;
    time.tm_hour = sample.hour;
    time.tm_min = sample.minute;
    time.tm_sec = sample.second;
    EXPECT_EQ(format_time(time, format), sample.expected);
  }
}

}  // namespace
}  // namespace nibble::jinja
