/*
 * Asks the real classes of Elasticsearch 8.19.21 what lifecycle management does, and prints it as tables:
 *
 *   java -cp "ES/modules/x-pack-core/*:ES/lib/*" Oracle.java retention > retention.txt
 *   java -cp "ES/modules/x-pack-core/*:ES/lib/*" Oracle.java cron > cron.txt
 *
 * where ES is the unpacked test distribution, org.elasticsearch.distribution.integ-test-zip:elasticsearch. The classes are Elastic's and are only called here.
 */
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.index.IndexVersion;
import org.elasticsearch.repositories.RepositoryData.SnapshotDetails;
import org.elasticsearch.snapshots.SnapshotId;
import org.elasticsearch.snapshots.SnapshotState;
import org.elasticsearch.xpack.core.scheduler.Cron;
import org.elasticsearch.xpack.core.slm.SnapshotRetentionConfiguration;

public class Oracle {
  static final long HOUR = 3_600_000L;
  static final long NOW = 1_700_000_000_000L;
  static final Random RANDOM = new Random(20_261_125);

  public static void main(String[] arguments) throws Exception {
    if (arguments[0].equals("retention")) retention();
    else cron();
  }

  static int below(int bound) {
    return RANDOM.nextInt(bound);
  }

  /** `HOURS MIN MAX STATE:HOURS,… VERDICTS`: `-` for none; a verdict is x where it may be deleted. */
  static void retention() {
    System.out.println("# from the real classes of Elasticsearch 8.19.21, by Oracle.java; now is " + NOW);
    for (int number = 0; number < 600; number++) {
      Integer hours = below(4) == 0 ? null : 1 + below(30 * 24);
      Integer min = below(4) == 0 ? null : 1 + below(8);
      Integer max = below(4) == 0 ? null : (min == null ? 1 : min) + below(12);
      var all = new LinkedHashMap<SnapshotId, SnapshotDetails>();
      var shown = new ArrayList<String>();
      int count = below(30);
      for (int at = 0; at < count; at++) {
        int age = below(60 * 24) * 1000 + at;
        int kind = below(8);
        var state = kind == 0 ? SnapshotState.FAILED : kind == 1 ? SnapshotState.PARTIAL : kind == 2 && below(3) == 0 ? SnapshotState.IN_PROGRESS : SnapshotState.SUCCESS;
        long start = NOW - age * (HOUR / 1000);
        all.put(new SnapshotId("s" + at, "u" + at), new SnapshotDetails(state, IndexVersion.current(), start, start + 1000, "p"));
        shown.add(state.name().charAt(0) + ":" + start);
      }
      var rules = new SnapshotRetentionConfiguration(() -> NOW, hours == null ? null : TimeValue.timeValueHours(hours), min, max);
      var verdicts = new StringBuilder();
      for (Map.Entry<SnapshotId, SnapshotDetails> one : all.entrySet()) {
        boolean judged = one.getValue().getSnapshotState() != SnapshotState.IN_PROGRESS;
        verdicts.append(judged && rules.isSnapshotEligibleForDeletion(one.getKey(), one.getValue(), all) ? 'x' : '.');
      }
      System.out.println(or(hours) + " " + or(min) + " " + or(max) + " " + (count == 0 ? "-" : String.join(",", shown)) + " " + (count == 0 ? "-" : verdicts));
    }
  }

  static String or(Object value) {
    return value == null ? "-" : value.toString();
  }

  static String field(int from, int to, String more) {
    int kind = below(8);
    int one = from + below(to - from + 1);
    int two = from + below(to - from + 1);
    if (kind < 2) return "*";
    if (kind < 5) return "" + one;
    if (kind == 5) return Math.min(one, two) + "-" + Math.max(one, two);
    if (kind == 6) return one + "," + two;
    return (below(2) == 0 ? "*" : "" + from) + "/" + (1 + below(Math.max(1, (to - from) / 2)));
  }

  /** `EXPRESSION|MILLISECONDS,…`: the next three times after NOW, or nothing where it is not valid. -1 for no more. */
  static void cron() {
    System.out.println("# from the real classes of Elasticsearch 8.19.21, by Oracle.java; the first is after " + NOW);
    String[] days = {"L", "LW", "15W", "1W", "31", "29"};
    String[] weekdays = {"MON-FRI", "6L", "2#1", "SUN", "7", "1,3,5", "FRI#5", "L"};
    String[] months = {"JAN", "FEB", "3-9", "DEC", "2"};
    for (int number = 0; number < 600; number++) {
      String day = "?";
      String weekday = "?";
      if (below(2) == 0) day = below(3) == 0 ? days[below(days.length)] : field(1, 31, "");
      else weekday = below(2) == 0 ? weekdays[below(weekdays.length)] : field(1, 7, "");
      String month = below(4) == 0 ? months[below(months.length)] : below(2) == 0 ? "*" : field(1, 12, "");
      String text = field(0, 59, "") + " " + field(0, 59, "") + " " + field(0, 23, "") + " " + day + " " + month + " " + weekday;
      if (below(8) == 0) text += " " + (2023 + below(6));
      if (below(25) == 0) text = text.replace('?', '*');
      List<String> times = new ArrayList<>();
      try {
        Cron cron = new Cron(text);
        long at = NOW;
        for (int turn = 0; turn < 3 && at >= 0; turn++) {
          at = cron.getNextValidTimeAfter(at);
          times.add("" + at);
        }
      } catch (IllegalArgumentException refused) {
        times.clear();
      }
      System.out.println(text + "|" + String.join(",", times));
    }
  }
}
