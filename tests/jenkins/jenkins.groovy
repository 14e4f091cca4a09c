// Plays Jenkins for one declarative pipeline: the Groovy that Jenkins embeds, a real checkout, real shells.
//
//     groovy jenkins.groovy FILE --source REPOSITORY --workspace FOLDER [--record FILE]
//            [--parameter NAME=VALUE]... [--credential ID=SECRET | ID=USER:PASSWORD]... [--job NAME]...
//
// The environment is the agent's; --job names the jobs there are beside this one. Ends with 0 for SUCCESS, 1 for any other
// result, 2 for a file that Jenkins would not take. --record gets what happened as JSON: result, stages, triggered builds,
// tests, artifacts.
//
// What it does not know it refuses, rather than letting it pass. It plays no agents, no plug-ins beyond the steps below,
// no sandbox and no continuation passing: what a restart of Jenkins does to a build is not seen here.
import groovy.json.JsonOutput
import groovy.transform.InheritConstructors
import java.nio.channels.FileChannel
import java.nio.file.FileSystems
import java.nio.file.FileVisitResult
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.SimpleFileVisitor
import java.nio.file.StandardOpenOption
import java.nio.file.attribute.BasicFileAttributes
import java.util.concurrent.TimeUnit
import org.codehaus.groovy.ast.ClassNode
import org.codehaus.groovy.ast.CodeVisitorSupport
import org.codehaus.groovy.ast.expr.BinaryExpression
import org.codehaus.groovy.ast.expr.ClosureExpression
import org.codehaus.groovy.ast.expr.ConstantExpression
import org.codehaus.groovy.ast.expr.GStringExpression
import org.codehaus.groovy.ast.expr.MethodCallExpression
import org.codehaus.groovy.ast.stmt.BlockStatement
import org.codehaus.groovy.ast.stmt.ExpressionStatement
import org.codehaus.groovy.classgen.GeneratorContext
import org.codehaus.groovy.control.CompilationFailedException
import org.codehaus.groovy.control.CompilePhase
import org.codehaus.groovy.control.CompilerConfiguration
import org.codehaus.groovy.control.SourceUnit
import org.codehaus.groovy.control.customizers.CompilationCustomizer

/** The file is none that Jenkins would take. */
@InheritConstructors
class Invalid extends RuntimeException { }

/** A step failed. */
@InheritConstructors
class Failed extends RuntimeException { }

/** The time was up. */
@InheritConstructors
class Aborted extends RuntimeException { }

/** One build: what it knows, and what it has done. */
class Build {
    Path source, workspace
    Map<String, String> credentials
    Map<String, Object> given
    /** What holds for the whole build, and what a section adds while it lasts. */
    Map<String, String> lasting = [:]
    List<Map<String, String>> scopes = []
    Map<String, Object> parameters = [:]
    Set<String> secrets = [], jobs = []
    String result = 'SUCCESS'
    List stages = [], triggered = [], artifacts = []
    Map tests = [:]
    boolean timestamps
    long deadline = Long.MAX_VALUE

    /** A line of the log, with secrets masked as Jenkins does. */
    void say(String line) {
        // The longest first: one may be part of another.
        String masked = secrets.sort(false) { -it.size() }.inject(line) { text, secret -> text.replace(secret, '****') }
        println((timestamps ? new Date().format("'['HH:mm:ss'] '") : '') + masked)
        System.out.flush()
    }

    Map<String, String> getEnvironment() {
        scopes.inject(new LinkedHashMap(lasting)) { all, one -> all + one }
    }

    /** Variables that hold within `body`. */
    void having(Map<String, String> variables, Closure body) {
        scopes << variables
        try {
            body()
        } finally {
            scopes.pop()
        }
    }

    String secret(String id) {
        if (!credentials.containsKey(id)) {
            throw new Failed("Could not find credentials entry with ID '${id}'")
        }
        credentials[id]
    }

    /** What `credentials(id)` gives a variable of that name: one of text, or three of a user's name and password. */
    Map<String, String> bound(String name, String id) {
        String value = secret(id)
        if (!value.contains(':')) {
            secrets << value
            return [(name): value]
        }
        def (user, password) = value.split(':', 2)
        secrets << password
        [(name): value, (name + '_USR'): user, (name + '_PSW'): password]
    }
}

/** A section: who may stand in it, and who stood there already. */
class Section {
    String name
    Map<String, Closure> allowed
    Set<String> repeatable = []
    Set<String> seen = []

    static void read(String name, Map<String, Closure> allowed, Closure body, Set<String> repeatable = []) {
        body.delegate = new Section(name: name, allowed: allowed, repeatable: repeatable)
        body.resolveStrategy = Closure.DELEGATE_ONLY
        body()
    }

    def methodMissing(String called, arguments) {
        if (!allowed.containsKey(called)) {
            throw new Invalid("'${called}' has no place in ${name}; there may be ${allowed.keySet().join(', ')}")
        }
        if (!seen.add(called) && !(called in repeatable)) {
            throw new Invalid("'${called}' stands twice in ${name}")
        }
        Closure take = allowed[called]
        try {
            take.call(*(arguments as List))
        } catch (MissingMethodException error) {
            if (error.method != 'doCall' && error.method != 'call') {
                throw error
            }
            throw new Invalid("'${called}' in ${name} does not take ${arguments as List}")
        }
    }

    def propertyMissing(String called) {
        if (name == 'pipeline' && called in ['any', 'none']) {
            return called
        }
        throw new Invalid("'${called}' means nothing in ${name}")
    }
}

/** What a stage's steps may call; anything else fails the build, as in Jenkins. */
class Steps {
    Build current
    Script file

    static final Map<String, Set<String>> WORDS = [
        sh: ['script', 'returnStdout', 'returnStatus', 'label'],
        junit: ['testResults', 'allowEmptyResults'],
        archiveArtifacts: ['artifacts', 'allowEmptyArchive', 'fingerprint'],
        build: ['job', 'wait', 'parameters'],
        string: ['name', 'value', 'credentialsId', 'variable'],
        usernamePassword: ['credentialsId', 'usernameVariable', 'passwordVariable'],
    ]

    void perform(Closure body) {
        Closure mine = body.rehydrate(this, body.owner, body.thisObject)
        mine.resolveStrategy = Closure.DELEGATE_ONLY
        mine()
    }

    def propertyMissing(String name) {
        if (name == 'env') {
            return new Env(current: current)
        }
        if (name == 'params') {
            return current.parameters.asImmutable()
        }
        if (current.environment.containsKey(name)) {
            return current.environment[name]
        }
        throw new MissingPropertyException(name, Steps)
    }

    def methodMissing(String name, arguments) {
        if (file.metaClass.respondsTo(file, name)) {
            return file.invokeMethod(name, arguments)
        }
        throw new Failed("No such DSL method '${name}' found among steps")
    }

    private static void words(String step, Map said) {
        Set unknown = said.keySet() - WORDS[step]
        if (unknown) {
            throw new Failed("${step} does not know ${unknown.join(', ')}")
        }
    }

    def sh(String text) {
        sh(script: text)
    }

    def sh(Map said) {
        words('sh', said)
        File file = File.createTempFile('step', '.sh')
        try {
            // As Jenkins runs it: the file is its own, each line is told.
            file.text = said.script
            return shell(file, said)
        } finally {
            file.delete()
        }
    }

    private def shell(File file, Map said) {
        // A group of its own, so that all of it ends when the time is up.
        ProcessBuilder builder = new ProcessBuilder('setsid', '--wait', 'sh', '-xe', file.path)
        builder.directory(current.workspace.toFile())
        builder.environment().clear()
        builder.environment().putAll(current.environment)
        builder.redirectErrorStream(!said.returnStdout)
        Process process = builder.start()
        process.outputStream.close()
        StringBuilder out = new StringBuilder()
        Closure tell = said.returnStdout ? { line -> out.append(line).append('\n') } : { line -> current.say(line) }
        List readers = [Thread.start { process.inputStream.eachLine(tell) }]
        if (said.returnStdout) {
            readers << Thread.start { process.errorStream.eachLine { line -> current.say(line) } }
        }
        if (!process.waitFor(Math.max(0, current.deadline - System.currentTimeMillis()), TimeUnit.MILLISECONDS)) {
            ['sh', '-c', "kill -s TERM -- -${process.pid()}"].execute().waitFor()
            throw new Aborted('Timeout has been exceeded')
        }
        readers*.join()
        if (said.returnStatus) {
            return process.exitValue()
        }
        if (process.exitValue() != 0) {
            throw new Failed("script returned exit code ${process.exitValue()}")
        }
        said.returnStdout ? out.toString() : null
    }

    void echo(Object text) {
        current.say("${text}")
    }

    void error(Object text) {
        throw new Failed("${text}")
    }

    void script(Closure body) {
        perform(body)
    }

    void withEnv(List<String> variables, Closure body) {
        current.having(variables.collectEntries { "${it}".split('=', 2) as List }) { perform(body) }
    }

    void withCredentials(List<Map<String, String>> bindings, Closure body) {
        current.having(bindings.inject([:]) { all, one -> all + one }) { perform(body) }
    }

    Map<String, String> usernamePassword(Map said) {
        words('usernamePassword', said)
        Map found = current.bound('X', said.credentialsId)
        [(said.usernameVariable): found.X_USR, (said.passwordVariable): found.X_PSW]
    }

    /** A secret text for withCredentials, or a parameter for current. */
    Map string(Map said) {
        words('string', said)
        if (said.credentialsId) {
            return [(said.variable): current.bound('X', said.credentialsId).X]
        }
        [name: said.name, value: said.value]
    }

    void build(Map said) {
        words('build', said)
        if (!(said.job in current.jobs)) {
            throw new Failed("No item named ${said.job} found")
        }
        if (said.wait != false) {
            throw new Failed('build: only wait: false is played here')
        }
        Map parameters = (said.parameters ?: []).collectEntries { [(it.name): it.value] }
        current.triggered << [job: said.job, parameters: parameters]
        current.say("Scheduling project: ${said.job}")
    }

    void junit(Map said) {
        words('junit', said)
        List<Path> files = matching(said.testResults)
        if (!files && !said.allowEmptyResults) {
            throw new Failed("No test report files were found: ${said.testResults}")
        }
        files.each { file ->
            new XmlSlurper().parse(file.toFile()).'**'.findAll { it.name() == 'testsuite' }.each { suite ->
                ['tests', 'failures', 'errors', 'skipped'].each { word ->
                    current.tests[word] = (current.tests[word] ?: 0) + suite["@${word}"].text().toInteger()
                }
            }
        }
        if (current.tests.failures || current.tests.errors) {
            current.result = current.result == 'SUCCESS' ? 'UNSTABLE' : current.result
        }
    }

    void archiveArtifacts(Map said) {
        words('archiveArtifacts', said)
        List<Path> files = matching(said.artifacts)
        if (!files && !said.allowEmptyArchive) {
            throw new Failed("No artifacts found that match the file pattern \"${said.artifacts}\"")
        }
        current.artifacts.addAll(files.collect { current.workspace.relativize(it).toString() }.sort())
    }

    private List<Path> matching(String pattern) {
        def matcher = FileSystems.default.getPathMatcher("glob:${current.workspace}/${pattern}")
        Path folder = current.workspace.resolve(pattern.replaceFirst('[^/]*[*].*|[^/]*$', ''))
        Files.isDirectory(folder) ? Files.walk(folder).iterator().findAll { matcher.matches(it) } : []
    }

    /** Links are removed, not what they lead to. */
    void deleteDir() {
        Files.walkFileTree(current.workspace, new SimpleFileVisitor<Path>() {
            FileVisitResult visitFile(Path file, BasicFileAttributes ignored) {
                Files.delete(file)
                FileVisitResult.CONTINUE
            }

            FileVisitResult postVisitDirectory(Path folder, IOException ignored) {
                Files.delete(folder)
                FileVisitResult.CONTINUE
            }
        })
    }
}

/** `env`: what is set there holds for the rest of the build. */
class Env {
    Build current

    def propertyMissing(String name) {
        current.environment[name]
    }

    void propertyMissing(String name, value) {
        current.lasting[name] = "${value}".toString()
    }
}

/** An `environment` section: each line is a variable, and the next may refer to it. */
class Variables {
    Steps steps
    Map<String, String> found

    def propertyMissing(String name) {
        found.containsKey(name) ? found[name] : steps."${name}"
    }

    void propertyMissing(String name, value) {
        if (value instanceof Closure) {
            found.putAll(value(name))
        } else if (value instanceof CharSequence) {
            found[name] = value.toString()
        } else {
            throw new Failed("${name} in environment is no text")
        }
    }

    Closure credentials(String id) {
        { String name -> steps.current.bound(name, id) }
    }
}

/** What the file says, read whole before anything is done. */
class Pipeline {
    static final List<String> RESULTS = [
        'always', 'aborted', 'failure', 'success', 'unstable', 'unsuccessful', 'cleanup',
    ]

    Build current
    Steps steps
    List stages = []
    Map<String, Closure> post = [:]
    Closure environment
    boolean agent, checkout = true, alone

    void read(Closure body) {
        Section.read('pipeline', [
            agent: { String label -> agent = true },
            options: { Closure it -> options(it) },
            triggers: { Closure it -> Section.read('triggers', [pollSCM: { String when -> }], it) },
            parameters: { Closure it -> parameters(it) },
            environment: { Closure it -> environment = it },
            stages: { Closure it ->
                Section.read('stages', [stage: { String name, Closure one -> stage(name, one) }], it, ['stage'] as Set)
            },
            post: { Closure it -> post = conditions(it) },
        ], body)
        if (!agent) {
            throw new Invalid("'agent' is missing in pipeline")
        }
        if (!stages) {
            throw new Invalid("'stages' is missing in pipeline, or empty")
        }
        Set unknown = current.given.keySet() - current.parameters.keySet()
        if (unknown) {
            throw new Invalid("no such parameter: ${unknown.join(', ')}")
        }
    }

    private void options(Closure body) {
        Section.read('options', [
            timestamps: { -> current.timestamps = true },
            timeout: { Map said ->
                long milliseconds = TimeUnit.valueOf(said.unit ?: 'MINUTES').toMillis(said.time)
                current.deadline = System.currentTimeMillis() + milliseconds
            },
            disableConcurrentBuilds: { -> alone = true },
            skipDefaultCheckout: { -> checkout = false },
            buildDiscarder: { Map said -> },
            logRotator: { Map said -> said },
        ], body)
    }

    private void parameters(Closure body) {
        Closure declare = { Map said ->
            Set unknown = said.keySet() - ['name', 'defaultValue', 'description', 'trim']
            if (!said.name) {
                throw new Invalid('a parameter has no name')
            }
            if (unknown) {
                throw new Invalid("the parameter ${said.name} does not know ${unknown.join(', ')}")
            }
            def value = current.given.containsKey(said.name) ? current.given[said.name] : said.defaultValue
            current.parameters[said.name] = said.trim ? value.trim() : value
        }
        Section.read('parameters', [
            string: declare,
            booleanParam: { Map said ->
                declare(said)
                current.parameters[said.name] = "${current.parameters[said.name]}".toBoolean()
            },
        ], body, ['string', 'booleanParam'] as Set)
    }

    private Map<String, Closure> conditions(Closure body) {
        Map found = [:]
        Section.read('post', RESULTS.collectEntries { name -> [(name): { Closure it -> found[name] = it }] }, body)
        found
    }

    private void stage(String name, Closure body) {
        Map one = [name: name, post: [:]]
        if (name in stages*.name) {
            throw new Invalid("two stages are called '${name}'")
        }
        Section.read("stage '${name}'", [
            when: { Closure it -> one.when = it },
            environment: { Closure it -> one.environment = it },
            steps: { Closure it -> one.steps = it },
            post: { Closure it -> one.post = conditions(it) },
        ], body)
        if (!one.steps) {
            throw new Invalid("'steps' is missing in stage '${name}'")
        }
        // Read now, so that what is malformed is found before anything is done.
        if (one.when) {
            holds(one.when, false)
        }
        stages << one
    }

    /** Whether all that stands in a `when` is so; without `really` it is only read. */
    private boolean holds(Closure body, boolean really) {
        told(body, really).every { it }
    }

    private List told(Closure body, boolean really) {
        List found = []
        Section.read('when', [
            expression: { Closure it -> found << (!really || asked(it)) },
            environment: { Map said -> found << (current.environment[said.name] == said.value) },
            not: { Closure it -> found << !told(it, really).every() },
            anyOf: { Closure it -> found << told(it, really).any() },
            allOf: { Closure it -> found << told(it, really).every() },
        ], body, ['expression', 'environment', 'not', 'anyOf', 'allOf'] as Set)
        if (!found) {
            throw new Invalid("'when' is empty")
        }
        found
    }

    private boolean asked(Closure body) {
        Closure mine = body.rehydrate(steps, body.owner, body.thisObject)
        mine.resolveStrategy = Closure.DELEGATE_ONLY
        mine() as boolean
    }

    /** Do all of it. */
    void play() {
        current.parameters.each { name, value -> current.lasting[name] = "${value}".toString() }
        try {
            current.having(variables(environment)) {
                stages.each { one -> attempt(one) }
                finish(post)
            }
        } catch (Failed error) {
            // A credential of the whole pipeline is not there.
            failed(error)
        }
    }

    private void attempt(Map one) {
        if (current.result in ['FAILURE', 'ABORTED']) {
            current.say("Stage \"${one.name}\" skipped due to earlier failure(s)")
            current.stages << [name: one.name, result: 'NOT_BUILT']
            return
        }
        String before = current.result
        try {
            current.having(variables(one.environment) + [STAGE_NAME: one.name]) {
                if (one.when && !holds(one.when, true)) {
                    current.say("Stage \"${one.name}\" skipped due to when conditional")
                    current.stages << [name: one.name, result: 'SKIPPED']
                    return
                }
                current.say("[Pipeline] { (${one.name})")
                current.result = 'SUCCESS'
                guarded { steps.perform(one.steps) }
                finish(one.post)
                current.stages << [name: one.name, result: current.result]
                current.result = worse(before, current.result)
            }
        } catch (Failed error) {
            failed(error)
            current.stages << [name: one.name, result: current.result]
        }
    }

    private void finish(Map<String, Closure> conditions) {
        String result = current.result
        RESULTS.findAll { name -> name in conditions && applies(name, result) }.each { name ->
            current.say("[Pipeline] { (post: ${name})")
            guarded { steps.perform(conditions[name]) }
        }
    }

    private static boolean applies(String condition, String result) {
        condition in ['always', 'cleanup'] || condition == result.toLowerCase() ||
            condition == 'unsuccessful' && result != 'SUCCESS'
    }

    private void guarded(Closure body) {
        try {
            body()
        } catch (Aborted error) {
            current.say("${error.message}")
            current.result = 'ABORTED'
            // What is left to do has its time.
            current.deadline = Long.MAX_VALUE
        } catch (Exception error) {
            failed(error)
        }
    }

    private void failed(Exception error) {
        current.say("ERROR: ${error.message}")
        current.result = 'FAILURE'
    }

    private static String worse(String one, String other) {
        List<String> order = ['SUCCESS', 'UNSTABLE', 'FAILURE', 'ABORTED']
        order[Math.max(order.indexOf(one), order.indexOf(other))]
    }

    private Map<String, String> variables(Closure body) {
        Map found = [:]
        if (body) {
            Closure mine = body.rehydrate(new Variables(steps: steps, found: found), body.owner, body.thisObject)
            mine.resolveStrategy = Closure.DELEGATE_ONLY
            mine()
        }
        found
    }
}

/** What Jenkins' own check finds in a file before it is run: only steps in `steps`, only variables in `environment`. */
class Words extends CodeVisitorSupport {
    static final Set<String> OF_STEPS = (Pipeline.RESULTS + 'steps') as Set
    static final Set<String> FILLED = (OF_STEPS + ['environment', 'options', 'parameters', 'triggers', 'post']) as Set
    /** 'a', "${b}", credentials('c'), 'd' + 'e' */
    static final List<Class> VALUES = [ConstantExpression, GStringExpression, MethodCallExpression, BinaryExpression]
    List<String> problems = []

    void visitMethodCallExpression(MethodCallExpression call) {
        def last = call.arguments.expressions ? call.arguments.expressions.last() : null
        if (last instanceof ClosureExpression && call.arguments.expressions.size() == 1) {
            String name = call.methodAsString
            List lines = ((BlockStatement) last.code).statements
            if (name in FILLED && !lines) {
                problems << "line ${call.lineNumber}: '${name}' is empty"
            }
            lines.each { line ->
                def what = line instanceof ExpressionStatement ? line.expression : null
                if (name in OF_STEPS && !(what instanceof MethodCallExpression)) {
                    problems << "line ${line.lineNumber}: expected a step in '${name}'"
                }
                if (name == 'environment' && !(what instanceof BinaryExpression && what.operation.text == '=')) {
                    problems << "line ${line.lineNumber}: expected NAME = value in 'environment'"
                } else if (name == 'environment' && !VALUES.any { it.isInstance(what.rightExpression) }) {
                    problems << "line ${line.lineNumber}: the value of a variable must be quoted, or a function's"
                }
            }
        }
        super.visitMethodCallExpression(call)
    }
}

/** A Jenkinsfile: what it calls and does not define itself are steps. */
abstract class Jenkinsfile extends Script {
    def methodMissing(String name, arguments) {
        binding.steps.invokeMethod(name, arguments)
    }
}

def read(File file, Build current, Pipeline pipeline) {
    Words words = new Words()
    CompilerConfiguration configuration = new CompilerConfiguration(scriptBaseClass: Jenkinsfile.name)
    configuration.addCompilationCustomizers(new CompilationCustomizer(CompilePhase.CONVERSION) {
        void call(SourceUnit source, GeneratorContext context, ClassNode node) {
            source.AST.statementBlock.visit(words)
        }
    })
    int pipelines = 0
    Binding binding = new Binding(
        pipeline: { Closure body -> pipelines++; pipeline.read(body) },
        env: new Env(current: current), params: current.parameters, steps: pipeline.steps
    )
    Script script = new GroovyShell(this.class.classLoader, binding, configuration).parse(file.text, 'WorkflowScript')
    pipeline.steps.file = script
    // Read, and nothing done yet.
    script.run()
    if (words.problems) {
        throw new Invalid(words.problems.join('; '))
    }
    if (pipelines != 1) {
        throw new Invalid("there are ${pipelines} pipelines in it, and there must be one")
    }
}

def checkOut(Build current) {
    String git = """
        git init --quiet .
        git fetch --quiet '${current.source}' '+refs/heads/*:refs/remotes/origin/*' HEAD
        git checkout --quiet --force --detach FETCH_HEAD"""
    Files.createDirectories(current.workspace)
    ProcessBuilder builder = new ProcessBuilder('sh', '-e', '-c', git)
    Process process = builder.directory(current.workspace.toFile()).inheritIO().start()
    if (process.waitFor()) {
        throw new Failed('the checkout failed')
    }
    current.lasting.GIT_COMMIT = ['git', '-C', "${current.workspace}", 'rev-parse', 'HEAD'].execute().text.trim()
}

List<String> words = args as List
File file = new File(words.remove(0))
Build current = new Build(given: [:], credentials: [:])
File record = null
while (words) {
    String option = words.remove(0)
    String value = words.remove(0)
    switch (option) {
        case '--source': current.source = new File(value).toPath().toAbsolutePath(); break
        case '--workspace': current.workspace = new File(value).toPath().toAbsolutePath(); break
        case '--record': record = new File(value); break
        case '--parameter': value.split('=', 2).with { current.given[it[0]] = it[1] }; break
        case '--credential': value.split('=', 2).with { current.credentials[it[0]] = it[1] }; break
        case '--job': current.jobs << value; break
        default: System.err.println("what is ${option}?"); System.exit(2)
    }
}
current.lasting.putAll(System.getenv())
current.lasting.putAll([CI: 'true', BUILD_NUMBER: '1', JOB_NAME: file.name, WORKSPACE: current.workspace.toString()])
Steps steps = new Steps(current: current)
Pipeline pipeline = new Pipeline(current: current, steps: steps)
try {
    read(file, current, pipeline)
} catch (Invalid | CompilationFailedException | MissingPropertyException | MissingMethodException error) {
    System.err.println("INVALID ${file.name}: ${error.message}")
    System.exit(2)
}
Path locked = new File("${current.workspace}.lock").toPath()
FileChannel lock = FileChannel.open(locked, StandardOpenOption.CREATE, StandardOpenOption.WRITE)
if (pipeline.alone) {
    lock.lock()
}
if (pipeline.checkout) {
    checkOut(current)
}
pipeline.play()
current.say("Finished: ${current.result}")
record?.text = JsonOutput.toJson(current.with {
    [result: result, stages: stages, triggered: triggered, tests: tests, artifacts: artifacts]
})
System.exit(current.result == 'SUCCESS' ? 0 : 1)
